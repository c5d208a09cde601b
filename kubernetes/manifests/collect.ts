import { isDeepStrictEqual } from 'node:util';
import type { KubernetesObject, Workload } from '../objects/index.ts';
import type { ManifestProblem } from './problem.ts';

/** Where an object stands. */
export interface ManifestPlace {
  readonly file: string;
  /** Counted from 1 within the file. */
  readonly document: number;
  readonly line: number;
  /** Path of the object within its document (`items[3]`), empty for the document itself. */
  readonly path: string;
}

/** An object as it was found. */
export interface FoundObject<T extends KubernetesObject | Workload = KubernetesObject | Workload> {
  readonly object: T;
  readonly place: ManifestPlace;
}

/** Each object once. */
export interface Collected {
  readonly found: ReadonlyMap<string, FoundObject>;
  /** Objects that are there twice and differ. */
  readonly errors: readonly ManifestProblem[];
  /** Objects that are there twice and do not. */
  readonly notes: readonly ManifestProblem[];
}

/** Identifies an object within a cluster. */
export function objectId(kind: string, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

export function idOf({ kind, metadata }: KubernetesObject | Workload): string {
  return objectId(kind, metadata.namespace, metadata.name);
}

/**
 * Two different objects of one name are an error that names both places: which of them somebody meant cannot be told, and
 * taking either would hide the mistake. Of two equal ones the first stays, with a note.
 */
export function collect(all: Iterable<FoundObject>): Collected {
  const found = new Map<string, FoundObject>();
  const errors: ManifestProblem[] = [];
  const notes: ManifestProblem[] = [];
  for (const one of all) {
    const id = idOf(one.object);
    const first = found.get(id);
    if (!first) {
      found.set(id, one);
      continue;
    }
    const equal = isDeepStrictEqual(first.object, one.object);
    (equal ? notes : errors).push(duplicate(one, first, equal));
  }
  return { found, errors, notes };
}

function duplicate({ object, place }: FoundObject, first: FoundObject, equal: boolean): ManifestProblem {
  const { kind, metadata } = object;
  const { name, namespace } = metadata;
  const { file, document, line, path } = place;
  const field = `${path === '' ? '' : `${path}.`}metadata.name`;
  const what = `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
  const where = `${first.place.file}, document ${first.place.document} (line ${first.place.line})`;
  return {
    file,
    document,
    line,
    field,
    message: `${field}: ${what} stands in ${where} already, ${equal ? 'the same in all that matters here' : 'and differs: remove one of the two'}`,
    about: { kind, name, namespace },
  };
}

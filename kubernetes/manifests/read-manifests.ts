import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import type { KubernetesObject, ProblemSubject, Workload } from '../objects/index.ts';
import { FieldError } from './field-reader.ts';
import { type Normalised, flattenLists, normaliseObject } from './normalise.ts';
import { subjectOf } from './subject.ts';

/** One document that could not be taken in; the rest of its file was. */
export interface ManifestProblem {
  readonly file: string;
  /** Counted from 1 within the file. */
  readonly document: number;
  /** Dotted path of the member at fault; empty when the document is no YAML at all. */
  readonly field: string;
  /** Line in the file, where it is known. */
  readonly line?: number;
  readonly message: string;
  /** What the document describes, as far as that can be said. */
  readonly about?: ProblemSubject;
}

export interface Manifests {
  readonly objects: readonly KubernetesObject[];
  readonly workloads: readonly Workload[];
  /** Kinds that play no role, with how many objects of each there were. */
  readonly skipped: ReadonlyMap<string, number>;
  readonly errors: readonly ManifestProblem[];
}

/**
 * Reads files and folders (with what is below them) of YAML or JSON manifests: multi-document files, lists, any
 * namespaces. A broken document is reported and the rest goes on. Of two objects with one name the later one counts, in
 * the order of the paths, files sorted by name: as when they are applied one after another.
 * @throws an error of the file system when a path cannot be read.
 */
export async function readManifests(paths: readonly string[]): Promise<Manifests> {
  const objects = new Map<string, KubernetesObject>();
  const workloads = new Map<string, Workload>();
  const skipped = new Map<string, number>();
  const errors: ManifestProblem[] = [];
  for (const path of paths) {
    for (const file of await manifestFiles(path)) {
      const parsed = parseManifests(file, await readFile(file, 'utf8'));
      errors.push(...parsed.errors);
      for (const object of parsed.objects) replace(objects, object);
      for (const workload of parsed.workloads) replace(workloads, workload);
      for (const [kind, count] of parsed.skipped) skipped.set(kind, (skipped.get(kind) ?? 0) + count);
    }
  }
  return { objects: [...objects.values()], workloads: [...workloads.values()], skipped, errors };
}

/** The same for one text; `file` is for messages. */
export function parseManifests(file: string, text: string): Manifests {
  const objects: KubernetesObject[] = [];
  const workloads: Workload[] = [];
  const skipped = new Map<string, number>();
  const errors: ManifestProblem[] = [];
  const take = (normalised: Normalised): void => {
    if (normalised.type === 'object') objects.push(normalised.object);
    else if (normalised.type === 'workload') workloads.push(normalised.workload);
    else skipped.set(normalised.kind, (skipped.get(normalised.kind) ?? 0) + 1);
  };
  for (const { number, line, body } of splitDocuments(text)) {
    const lineCounter = new LineCounter();
    const document = parseDocument(body, { lineCounter, merge: true, prettyErrors: false });
    const [error] = document.errors;
    if (error) {
      const at = line + lineCounter.linePos(error.pos[0]).line - 1;
      errors.push({ file, document: number, field: '', line: at, message: `Not valid YAML: ${error.message}` });
      continue;
    }
    try {
      const raw: unknown = document.toJS();
      if (raw === null || raw === undefined) continue;
      for (const item of flattenLists(raw)) {
        try {
          take(normaliseObject(item.raw, item.path));
        } catch (cause) {
          const about = subjectOf(item.raw, item.path, cause);
          errors.push({ ...problem(file, number, line, cause), ...(about ? { about } : {}) });
        }
      }
    } catch (cause) {
      errors.push(problem(file, number, line, cause));
    }
  }
  return { objects, workloads, skipped, errors };
}

/** Files that hold manifests at or below a path, hidden ones left out, sorted. */
export async function manifestFiles(path: string): Promise<string[]> {
  if ((await stat(path)).isFile()) return [path];
  const files: string[] = [];
  for (const name of (await readdir(path)).sort()) {
    if (name.startsWith('.')) continue;
    const child = join(path, name);
    const info = await stat(child).catch(() => undefined);
    if (info?.isDirectory()) files.push(...(await manifestFiles(child)));
    else if (info?.isFile() && /\.(ya?ml|json)$/.test(name)) files.push(child);
  }
  return files;
}

/** Identifies an object within a cluster. */
export function objectId(kind: string, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

function replace<T extends KubernetesObject | Workload>(known: Map<string, T>, object: T): void {
  const id = objectId(object.kind, object.metadata.namespace, object.metadata.name);
  known.delete(id);
  known.set(id, object);
}

/**
 * Cuts at lines that begin with `---`, as kubectl does, rather than leaving it to the YAML parser: so a broken document
 * cannot swallow the ones after it.
 */
function* splitDocuments(text: string): Generator<{ number: number; line: number; body: string }> {
  let body: string[] = [];
  let start = 1;
  let number = 0;
  for (const [i, line] of [...text.split(/\r?\n/), '---'].entries()) {
    if (!/^---(\s|$)/.test(line)) {
      if (!line.startsWith('%')) body.push(line);
      else body.push('');
      continue;
    }
    if (body.some((content) => /^\s*[^\s#]/.test(content)))
      yield { number: ++number, line: start, body: body.join('\n') };
    body = [line.slice(3)];
    start = i + 1;
  }
}

function problem(file: string, document: number, line: number, cause: unknown): ManifestProblem {
  if (cause instanceof FieldError) return { file, document, field: cause.field, line, message: cause.message };
  return { file, document, field: '', line, message: cause instanceof Error ? cause.message : String(cause) };
}

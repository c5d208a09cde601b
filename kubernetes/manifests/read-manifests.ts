import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import type { KubernetesObject, Workload } from '../objects/index.ts';
import { type FoundObject, type ManifestPlace, collect } from './collect.ts';
import { FieldError } from './field-reader.ts';
import { flattenLists, normaliseObject } from './normalise.ts';
import type { ManifestProblem } from './problem.ts';
import { isWorkload } from './workload.ts';
import { subjectOf } from './subject.ts';

export interface Manifests {
  readonly objects: readonly KubernetesObject[];
  readonly workloads: readonly Workload[];
  /** Kinds that play no role, with how many objects of each there were. */
  readonly skipped: ReadonlyMap<string, number>;
  readonly errors: readonly ManifestProblem[];
  /** What is odd and harms nothing: an object that is there twice, the same in all that is read. */
  readonly notes: readonly ManifestProblem[];
  /** Where each object and workload stands, by {@link objectId}. */
  readonly places: ReadonlyMap<string, ManifestPlace>;
}

/**
 * Reads files and folders (with what is below them) of YAML or JSON manifests: multi-document files, lists, any
 * namespaces. A broken document is reported and the rest goes on; so is an object that is there twice and differs, of
 * which the first stays.
 * @throws an error of the file system when a path cannot be read.
 */
export async function readManifests(paths: readonly string[]): Promise<Manifests> {
  const scans: Scan[] = [];
  for (const path of paths)
    for (const file of await manifestFiles(path)) scans.push(scan(file, await readFile(file, 'utf8')));
  return manifestsOf(scans);
}

/** The same for one text; `file` is for messages. */
export function parseManifests(file: string, text: string): Manifests {
  return manifestsOf([scan(file, text)]);
}

/** What one file holds, twice or not. */
interface Scan {
  readonly found: readonly FoundObject[];
  readonly skipped: readonly string[];
  readonly errors: readonly ManifestProblem[];
}

function manifestsOf(scans: readonly Scan[]): Manifests {
  const { found, errors, notes } = collect(scans.flatMap((one) => one.found));
  const objects: KubernetesObject[] = [];
  const workloads: Workload[] = [];
  for (const { object } of found.values()) {
    if (isWorkload(object)) workloads.push(object);
    else objects.push(object);
  }
  const skipped = new Map<string, number>();
  for (const kind of scans.flatMap((one) => one.skipped)) skipped.set(kind, (skipped.get(kind) ?? 0) + 1);
  return {
    objects,
    workloads,
    skipped,
    errors: [...scans.flatMap((one) => one.errors), ...errors],
    notes,
    places: new Map([...found].map(([id, { place }]) => [id, place])),
  };
}

function scan(file: string, text: string): Scan {
  const found: FoundObject[] = [];
  const skipped: string[] = [];
  const errors: ManifestProblem[] = [];
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
          const normalised = normaliseObject(item.raw, item.path);
          if (normalised.type === 'skipped') skipped.push(normalised.kind);
          else {
            const object = normalised.type === 'object' ? normalised.object : normalised.workload;
            found.push({ object, place: { file, document: number, line, path: item.path } });
          }
        } catch (cause) {
          const about = subjectOf(item.raw, item.path, cause);
          errors.push({ ...problem(file, number, line, cause), ...(about ? { about } : {}) });
        }
      }
    } catch (cause) {
      errors.push(problem(file, number, line, cause));
    }
  }
  return { found, skipped, errors };
}

/** Files that hold manifests at or below a path, hidden ones left out, sorted. */
export async function manifestFiles(path: string): Promise<string[]> {
  return await filesBelow(path, new Set());
}

/** @param above the folders that lead here: a link back to one of them would lead round and round */
async function filesBelow(path: string, above: ReadonlySet<string>): Promise<string[]> {
  const self = await stat(path);
  if (self.isFile()) return [path];
  const id = `${self.dev}:${self.ino}`;
  if (above.has(id)) return [];
  const files: string[] = [];
  for (const name of (await readdir(path)).sort()) {
    if (name.startsWith('.')) continue;
    const child = join(path, name);
    const info = await stat(child).catch(() => undefined);
    if (info?.isDirectory()) files.push(...(await filesBelow(child, new Set([...above, id]))));
    else if (info?.isFile() && /\.(ya?ml|json)$/.test(name)) files.push(child);
  }
  return files;
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

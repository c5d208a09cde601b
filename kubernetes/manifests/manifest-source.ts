import { watch as watchFolder } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields, silentLogger } from '../../runtime/log/index.ts';
import { isAbort } from '../../runtime/tasks/index.ts';
import {
  type KubernetesEvent,
  type KubernetesKind,
  type KubernetesObject,
  type KubernetesSource,
  type SourceProblem,
  kubernetesKinds,
} from '../objects/index.ts';
import { idOf } from './collect.ts';
import { type Manifests, manifestFiles, parseManifests } from './read-manifests.ts';

export interface ManifestSourceOptions {
  readonly directory: string;
  /** What is followed; objects of other kinds are passed over. Those of mode `kubernetes` unless told. */
  readonly kinds?: readonly KubernetesKind[];
  readonly clock: Clock;
  readonly log?: Logger;
  /** How long after a sign of change the folder is read; signs in between count as one. Default 100 ms. */
  readonly debounceMs?: number;
  /** The folder is read this often without any sign, since a file system may miss one. Default 10 s. */
  readonly rescanMs?: number;
}

/** What one file stands for: what was accepted of it last. */
interface FileState {
  readonly text: string;
  readonly objects: ReadonlyMap<string, KubernetesObject>;
  readonly problems: readonly SourceProblem[];
}

type Table = ReadonlyMap<string, KubernetesObject>;

/**
 * Follows a folder of manifests. A broken document is reported once per version of its file, and while a file holds one,
 * nothing that was accepted of that file before is withdrawn. Deletes come only after the whole folder could be read.
 * Workloads (Deployment, …) need a scheduler and are not for this source: they are counted in the log.
 */
export function manifestSource(options: ManifestSourceOptions): KubernetesSource {
  const accepted: Accepted = { files: new Map(), problems: [], failure: '' };
  return {
    description: `manifests:${options.directory}`,
    kinds: options.kinds ?? kubernetesKinds,
    watch: (signal) => follow(options, accepted, signal),
    problems: () => accepted.problems,
    unread: () =>
      accepted.failure === '' ? [] : [{ object: `folder ${options.directory}`, reason: accepted.failure }],
  };
}

/** What outlives a watch: whoever watches anew is told what was accepted of a file that is broken now. */
interface Accepted {
  files: ReadonlyMap<string, FileState>;
  problems: readonly SourceProblem[];
  /** Why the folder cannot be read at present; empty while it can. */
  failure: string;
}

async function* follow(
  options: ManifestSourceOptions,
  accepted: Accepted,
  signal: AbortSignal,
): AsyncGenerator<KubernetesEvent, void, void> {
  const {
    directory,
    kinds = kubernetesKinds,
    clock,
    log = silentLogger,
    debounceMs = 100,
    rescanMs = 10_000,
  } = options;
  using changes = new FolderChanges(directory);
  let table: Table | undefined;
  const twice = new Twice();
  try {
    while (!signal.aborted) {
      changes.clear();
      try {
        const files = await readFolder(directory, accepted.files, log);
        const found = [...files.values()].flatMap((file) => file.problems);
        accepted.files = files;
        // What is mended stays a problem until its objects have been taken: in between nothing may be concluded.
        accepted.problems = [...new Set([...accepted.problems, ...found])];
        const next = mergeFiles(files, new Set(kinds));
        for (const text of twice.news(files)) log.warn('Two manifests describe one object', { object: text });
        yield* differences(table ?? new Map(), next);
        if (!table) for (const kind of kinds) yield { type: 'synced', kind };
        table = next;
        accepted.problems = found;
        accepted.failure = '';
      } catch (error) {
        if (isAbort(error, signal)) return;
        const text = error instanceof Error ? error.message : String(error);
        if (text !== accepted.failure)
          log.warn('Cannot read the folder of manifests', { directory, [fields.error]: error });
        accepted.failure = text;
      }
      changes.arm();
      await changes.next(clock, rescanMs, signal);
      if (changes.seen) await clock.sleep(debounceMs, signal);
    }
  } catch (error) {
    if (!isAbort(error, signal)) throw error;
  }
}

/** @throws when the folder or a file cannot be read: then nothing may be concluded from what is missing. */
async function readFolder(
  directory: string,
  before: ReadonlyMap<string, FileState>,
  log: Logger,
): Promise<ReadonlyMap<string, FileState>> {
  const after = new Map<string, FileState>();
  for (const file of await manifestFiles(directory)) {
    const text = await readFile(file, 'utf8');
    const known = before.get(file);
    after.set(file, known?.text === text ? known : accept(text, parseManifests(file, text), known, log));
  }
  return after;
}

function accept(text: string, parsed: Manifests, known: FileState | undefined, log: Logger): FileState {
  for (const error of parsed.errors)
    log.warn('A manifest was skipped', {
      file: error.file,
      document: error.document,
      field: error.field,
      [fields.error]: error.message,
    });
  if (parsed.workloads.length > 0)
    log.info('Workloads play no role without a scheduler', { [fields.count]: parsed.workloads.length });
  const kept = parsed.errors.length > 0 ? (known?.objects ?? []) : [];
  const read = parsed.objects.map((object) => [idOf(object), object] as const);
  const problems = parsed.errors.map(({ file, document, message, about }) => ({
    object: `${file}, document ${document}`,
    reason: message,
    ...(about ? { about } : {}),
  }));
  return { text, objects: new Map([...kept, ...read]), problems };
}

/**
 * Of two objects with one name the one of the later file counts: an object moves from file to file by being in both for a
 * moment. {@link Twice} names those that differ.
 */
function mergeFiles(files: ReadonlyMap<string, FileState>, kinds: ReadonlySet<KubernetesKind>): Table {
  const all = [...files.values()].flatMap((file) => [...file.objects]);
  return new Map(all.filter(([, { kind }]) => kinds.has(kind)));
}

/** Objects that differ between two files. Each pair is named once, as long as it lasts. */
class Twice {
  #known: ReadonlySet<string> = new Set();

  /** Those that were not there before. */
  news(files: ReadonlyMap<string, FileState>): string[] {
    const last = new Map<string, { readonly file: string; readonly object: KubernetesObject }>();
    const now = new Set<string>();
    for (const [file, { objects }] of files)
      for (const [id, object] of objects) {
        const before = last.get(id);
        if (before && !isDeepStrictEqual(before.object, object))
          now.add(`${id}: in ${before.file} and ${file}, which counts`);
        last.set(id, { file, object });
      }
    const news = [...now].filter((text) => !this.#known.has(text));
    this.#known = now;
    return news;
  }
}

function* differences(before: Table, after: Table): Generator<KubernetesEvent> {
  for (const [id, object] of after) if (!isDeepStrictEqual(before.get(id), object)) yield { type: 'upsert', object };
  for (const [id, object] of before) {
    if (after.has(id)) continue;
    const { namespace, name } = object.metadata;
    yield { type: 'delete', kind: object.kind, namespace, name };
  }
}

/** Signs of change from the file system; it may miss some, and has none for a folder that does not exist yet. */
class FolderChanges implements Disposable {
  readonly #directory: string;
  #watcher: ReturnType<typeof watchFolder> | undefined;
  #wake: (() => void) | undefined;
  seen = false;

  constructor(directory: string) {
    this.#directory = directory;
    this.arm();
  }

  /** Begins to watch, if it does not yet; a watcher ends when its folder is removed. */
  arm(): void {
    if (this.#watcher) return;
    try {
      this.#watcher = watchFolder(this.#directory, { recursive: true, persistent: false });
    } catch {
      return;
    }
    this.#watcher.on('change', () => this.#notice());
    this.#watcher.on('error', () => this.#drop());
    this.#watcher.on('close', () => this.#drop());
  }

  clear(): void {
    this.seen = false;
  }

  /** Settles at the next sign, or after `ms`. */
  async next(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    if (this.seen) return;
    const waiting = new AbortController();
    const abort = (): void => waiting.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    this.#wake = () => waiting.abort(new DOMException('The folder changed', 'AbortError'));
    try {
      signal.throwIfAborted();
      await clock.sleep(ms, waiting.signal);
    } catch (error) {
      if (signal.aborted || !isAbort(error)) throw error;
    } finally {
      this.#wake = undefined;
      signal.removeEventListener('abort', abort);
    }
  }

  [Symbol.dispose](): void {
    const watcher = this.#watcher;
    this.#drop();
    watcher?.close();
  }

  #notice(): void {
    this.seen = true;
    this.#wake?.();
  }

  #drop(): void {
    this.#watcher = undefined;
  }
}

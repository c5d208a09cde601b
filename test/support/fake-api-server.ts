import { type ApiAnswer, type ApiServer, type RequestOptions } from '../../kubernetes/index.ts';
import { AsyncQueue } from '../../runtime/queue/index.ts';

/** An object as it goes over the wire. */
export interface RawObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  readonly [member: string]: unknown;
}

interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly path: string;
  readonly version: number;
  readonly object: object;
}

/** What a request is answered with instead; nothing: it is answered as usual. */
export type Answering = (path: string) => { readonly status: number; readonly body: unknown } | undefined;

/**
 * The part of an API server that a source needs: paged listings of one moment, watches with bookmarks, resourceVersions
 * that it forgets. Collections are by path (`/api/v1/pods`); those that were not declared are not found.
 */
export class FakeApiServer implements ApiServer {
  readonly description = 'https://fake';
  readonly namespace = undefined;
  /** Paths with query, in their order. */
  readonly requests: string[] = [];
  /** How many milliseconds of silence each of them bears. */
  readonly patience: number[] = [];
  refreshed = 0;
  answering: Answering = () => undefined;
  readonly #collections = new Map<string, Map<string, object>>();
  readonly #changes: Change[] = [];
  readonly #watches = new Set<{ readonly path: string; readonly queue: AsyncQueue<Buffer> }>();
  readonly #listings = new Map<string, { readonly rest: object[]; readonly version: number }>();
  #version = 100;
  /** Watches from before it are refused. */
  #forgotten = 0;

  constructor(...paths: readonly string[]) {
    for (const path of paths) this.declare(path);
  }

  get watches(): number {
    return this.#watches.size;
  }

  declare(path: string): void {
    this.#collections.set(path, new Map());
  }

  /** Is served no more, as a version of a resource whose definition has changed. */
  withdraw(path: string): void {
    this.#collections.delete(path);
    for (const watch of this.#watches) if (watch.path === path) watch.queue.end();
  }

  set(path: string, object: RawObject): void {
    const objects = this.#collectionOf(path);
    const id = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
    const type = objects.has(id) ? 'MODIFIED' : 'ADDED';
    const version = ++this.#version;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    objects.set(id, stored);
    this.#tell({ type, path, version, object: stored });
  }

  delete(path: string, namespace: string, name: string): void {
    const objects = this.#collectionOf(path);
    const stored = objects.get(`${namespace}/${name}`) as RawObject | undefined;
    if (!stored) throw new RangeError(`${path} has no ${namespace}/${name}`);
    objects.delete(`${namespace}/${name}`);
    const version = ++this.#version;
    const object = { ...stored, metadata: { ...stored.metadata, resourceVersion: String(version) } };
    this.#tell({ type: 'DELETED', path, version, object });
  }

  /** Tells every watch up to where the server is. */
  bookmark(): void {
    const object = { kind: 'Bookmark', metadata: { resourceVersion: String(this.#version) } };
    for (const { queue } of this.#watches) queue.push(line({ type: 'BOOKMARK', object }));
  }

  /** Forgets every change until now, and rests of listings that nobody has asked for yet. */
  forget(): void {
    this.#forgotten = this.#version;
    this.#listings.clear();
  }

  /** Sends raw bytes to every watch, and cuts it if asked to. */
  say(text: string): void {
    for (const { queue } of this.#watches) queue.push(Buffer.from(text));
  }

  /** Ends every watch: `end` as a server does when its time is over, `cut` as a network does. */
  endWatches(how: 'end' | 'cut' = 'end'): void {
    for (const { queue } of this.#watches) queue.end(how === 'cut' ? new Error('socket hang up') : undefined);
  }

  refresh(): void {
    this.refreshed += 1;
  }

  request(_method: string, target: string, { signal, idleMs }: RequestOptions): Promise<ApiAnswer> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    this.requests.push(target);
    this.patience.push(idleMs);
    const { pathname, searchParams } = new URL(target, this.description);
    try {
      const other = this.answering(target);
      if (other) return Promise.resolve(answer(other.status, other.body));
      if (!this.#collections.has(pathname)) return Promise.resolve(failure(404, 'NotFound', 'not found'));
      const watching = searchParams.get('watch') === '1';
      return Promise.resolve(
        watching ? this.#watch(pathname, searchParams, signal) : this.#list(pathname, searchParams),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #list(path: string, query: URLSearchParams): ApiAnswer {
    const token = query.get('continue');
    const kept = token === null ? undefined : this.#listings.get(token);
    if (token !== null && !kept) return failure(410, 'Expired', 'The provided continue parameter is too old');
    const { rest, version } = kept ?? { rest: [...this.#collectionOf(path).values()], version: this.#version };
    const limit = Number(query.get('limit'));
    // Items of a list leave out what the list says of them.
    const items = rest.slice(0, limit).map((item) => ({ ...item, apiVersion: undefined, kind: undefined }));
    const more = rest.length > limit ? `${path}:${version}:${rest.length}` : undefined;
    if (more !== undefined) this.#listings.set(more, { rest: rest.slice(limit), version });
    return answer(200, { kind: 'List', metadata: { resourceVersion: String(version), continue: more }, items });
  }

  #watch(path: string, query: URLSearchParams, signal: AbortSignal): ApiAnswer {
    const from = Number(query.get('resourceVersion'));
    if (from < this.#forgotten) return failure(410, 'Expired', 'too old resource version');
    const queue = new AsyncQueue<Buffer>();
    for (const change of this.#changes)
      if (change.path === path && change.version > from) queue.push(line({ type: change.type, object: change.object }));
    const watch = { path, queue };
    this.#watches.add(watch);
    const end = (): void => queue.end(signal.reason);
    signal.addEventListener('abort', end, { once: true });
    const close = (): void => {
      this.#watches.delete(watch);
      signal.removeEventListener('abort', end);
    };
    return { status: 200, body: closing(queue, close), [Symbol.dispose]: close };
  }

  #tell(change: Change): void {
    this.#changes.push(change);
    const text = line({ type: change.type, object: change.object });
    for (const { path, queue } of this.#watches) if (path === change.path) queue.push(text);
  }

  #collectionOf(path: string): Map<string, object> {
    const found = this.#collections.get(path);
    if (!found) throw new RangeError(`${path} was not declared`);
    return found;
  }
}

/** The `Status` that an API server refuses with. */
export function refusal(status: number, reason: string, message: string): { status: number; body: object } {
  return { status, body: { kind: 'Status', status: 'Failure', code: status, reason, message } };
}

function failure(status: number, reason: string, message: string): ApiAnswer {
  return answer(status, refusal(status, reason, message).body);
}

function answer(status: number, body: unknown): ApiAnswer {
  const retry = (body as { retryAfterMs?: number }).retryAfterMs;
  return {
    status,
    ...(retry === undefined ? {} : { retryAfterMs: retry }),
    body: closing([Buffer.from(JSON.stringify(body))], () => undefined),
    [Symbol.dispose]: () => undefined,
  };
}

async function* closing(chunks: AsyncIterable<Buffer> | Iterable<Buffer>, close: () => void): AsyncGenerator<Buffer> {
  try {
    yield* chunks;
  } finally {
    close();
  }
}

function line(event: object): Buffer {
  return Buffer.from(`${JSON.stringify(event)}\n`);
}

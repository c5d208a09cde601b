import type { ApiServer } from './api-server.ts';
import { errorOf, errorOfStatus } from './api-error.ts';
import { readLines } from './body.ts';
import { type Resource, collectionPath, resourceName } from './resources.ts';

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** Changes after it are told. */
  readonly resourceVersion: string;
  /** The server ends the watch then; the next one goes on where it ended. */
  readonly timeoutSeconds: number;
  /** The watch stands. */
  readonly opened: () => void;
}

export type WatchChange =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: unknown }
  /** Nothing changed up to this resourceVersion: a quiet resource does not fall behind. */
  | { readonly type: 'BOOKMARK'; readonly object: unknown };

/** etcd takes objects of 1.5 MiB; what JSON makes of one is not much longer. */
const maxLineBytes = 16 * 1024 * 1024;

/**
 * Changes of a resource in the order of the server, in batches as they arrive, until the server ends the watch.
 * @throws {ApiError} expired when the server does not remember `resourceVersion`.
 */
export async function* watchChanges(
  api: ApiServer,
  resource: Resource,
  version: string,
  { signal, resourceVersion, timeoutSeconds, opened }: WatchOptions,
): AsyncGenerator<readonly WatchChange[], void, void> {
  const operation = `watch ${resourceName(resource)}`;
  const query = new URLSearchParams({
    watch: '1',
    allowWatchBookmarks: 'true',
    resourceVersion,
    timeoutSeconds: String(timeoutSeconds),
  });
  const path = `${collectionPath(resource, version)}?${query.toString()}`;
  using answer = await api.request('GET', path, { signal, idleMs: timeoutSeconds * 1_000 + 15_000 });
  if (answer.status !== 200) throw await errorOf(operation, answer);
  opened();
  for await (const lines of readLines(answer.body, maxLineBytes)) {
    const changes: WatchChange[] = [];
    for (const line of lines) {
      const { type, object } = parseChange(line);
      if (type === 'ERROR') {
        // What came before it is good, and is not told twice.
        if (changes.length > 0) yield changes;
        throw errorOfStatus(operation, object);
      }
      if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED' && type !== 'BOOKMARK')
        throw new UnreadableChangeError(`Cannot ${operation}: an event of type ${JSON.stringify(type)}`);
      changes.push({ type, object });
    }
    yield changes;
  }
}

/** An event that cannot be understood: what it said is lost unless everything is listed again. */
export class UnreadableChangeError extends Error {
  readonly code = 'KUBERNETES_EVENT';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UnreadableChangeError';
  }
}

function parseChange(line: string): { readonly type: unknown; readonly object: unknown } {
  try {
    return JSON.parse(line) as { type: unknown; object: unknown };
  } catch (cause) {
    throw new UnreadableChangeError('An event of a watch is no JSON', { cause });
  }
}

import { AsyncQueue } from '../../runtime/queue/index.ts';
import { linkedController } from '../../runtime/tasks/index.ts';
import {
  CompactedError,
  type Engine,
  type EngineEvent,
  type KeyRange,
  type Page,
  type RestartReason,
  UnavailableError,
  type WatchBatch,
  type WatchEvent,
} from '../contract/index.ts';
import { plainKeyValue } from './row.ts';

/** Events that may wait for a slow consumer before the engine is asked to re-read history later instead. */
const maxWaiting = 1_000;
const maxWaitingBytes = 8 * 1024 ** 2;

interface FollowDependencies {
  readonly engine: Engine;
  readonly list: (signal: AbortSignal) => AsyncIterable<Page>;
  /** Aborts when the store is closed. */
  readonly closing: AbortSignal;
}

/** `listAndWatch` over an engine: lists, follows, and lists again when history was compacted under a slow consumer. */
export async function* followPrefix(
  dependencies: FollowDependencies,
  range: KeyRange,
  signal: AbortSignal,
): AsyncGenerator<WatchBatch, void, void> {
  dependencies.closing.throwIfAborted();
  using running = linkedController(signal);
  for (let reason: RestartReason = 'start'; !signal.aborted; reason = 'compacted') {
    try {
      yield { type: 'restart', reason };
      let revision = 0;
      for await (const page of dependencies.list(running.signal)) {
        revision = page.revision;
        const events = page.entries.map((entry): WatchEvent => ({ type: 'put', entry }));
        if (events.length > 0) yield { type: 'changes', events, revision };
      }
      yield { type: 'synced', revision };
      yield* follow(dependencies, { ...range, startRevision: revision + 1 }, running.signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof CompactedError)) throw error;
    }
  }
}

/**
 * Changes from a revision on, until the signal aborts.
 * @throws {CompactedError} when they are gone. @throws {UnavailableError} when they cannot be read.
 */
async function* follow(
  { engine, closing }: FollowDependencies,
  request: KeyRange & { readonly startRevision: number },
  signal: AbortSignal,
): AsyncGenerator<WatchBatch, void, void> {
  const queue = new AsyncQueue<{
    readonly events: readonly EngineEvent[];
    readonly revision: number;
    readonly bytes: number;
  }>();
  let waiting = 0;
  let waitingBytes = 0;
  let paused = false;
  const watcher = engine.watch(request, {
    events: (events, revision) => {
      waiting += events.length;
      const bytes = events.reduce((sum, { kv }) => sum + kv.key.length + kv.value.length, 0);
      waitingBytes += bytes;
      queue.push({ events, revision, bytes });
      if (waiting < maxWaiting && waitingBytes < maxWaitingBytes) return;
      paused = true;
      watcher.pause();
    },
    compacted: (compactRevision) => queue.end(new CompactedError('watch a prefix', compactRevision)),
    failed: (error) => queue.end(new UnavailableError('Watching a prefix failed', { cause: error })),
  });
  const onAbort = (): void => queue.end();
  const onClosing = (): void => queue.end(closing.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  closing.addEventListener('abort', onClosing, { once: true });
  try {
    if (signal.aborted) return;
    for await (const { events, revision, bytes } of queue) {
      if (signal.aborted) return;
      yield { type: 'changes', events: events.map(toWatchEvent), revision };
      waiting -= events.length;
      waitingBytes -= bytes;
      if (paused && waiting === 0) {
        paused = false;
        watcher.resume();
      }
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    closing.removeEventListener('abort', onClosing);
    watcher.cancel();
  }
}

function toWatchEvent(event: EngineEvent): WatchEvent {
  if (event.type === 'put') return { type: 'put', entry: plainKeyValue(event.kv) };
  return { type: 'delete', key: event.kv.key, revision: event.kv.modRevision };
}

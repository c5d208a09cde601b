import type { Clock } from '../../runtime/clock/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import type { Store } from '../../kvstore/index.ts';
import { ConnectTimeoutError, HeartbeatLostError } from './errors.ts';
import type { Heartbeat } from './heartbeat.ts';
import { heartbeatLimitMs } from './last-beat.ts';

export interface LiveStoreOptions {
  readonly heartbeat: Heartbeat;
  readonly clock: Clock;
  /** The store has answered for the first time on this connection. */
  readonly onHeard: () => void;
  /** Nothing has been heard for too long, although the store is connected. */
  readonly onSilence?: () => void;
}

const connectMs = 900_000;

/**
 * One connection to a remote cluster (clustermesh-behaviour §3): waits until its store has answered, then runs `use`, which
 * may add tasks to the group; ends with an error as soon as anything of it fails, the remote falls silent, or another store
 * answers in its place.
 */
export async function withLiveStore(
  store: Pick<Store, 'listAndWatch' | 'health'>,
  options: LiveStoreOptions,
  use: (tasks: TaskGroup, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { heartbeat, clock, onHeard } = options;
  await using tasks = new TaskGroup(signal);
  const heard = Promise.withResolvers<void>();
  tasks.run((running) => heartbeat.follow(store, heard.resolve, running));
  tasks.run(async (running) => {
    const late = (): Error =>
      new ConnectTimeoutError('The remote store did not answer', connectMs / 1000, store.health());
    await within({ clock, ms: connectMs, late }, heard.promise, running);
    onHeard();
    tasks.run((watching) => watchHeartbeat(options, watching));
    await use(tasks, running);
  });
  await tasks.wait();
}

/** Ends when the remote falls silent: the only thing that ends a watch on a store that no longer speaks. */
async function watchHeartbeat({ heartbeat, clock, onSilence }: LiveStoreOptions, signal: AbortSignal): Promise<never> {
  const connectedAt = clock.monotonicMs();
  for (;;) {
    const silentMs = Math.min(heartbeat.ageMs ?? Infinity, clock.monotonicMs() - connectedAt);
    if (silentMs > heartbeatLimitMs) {
      onSilence?.();
      throw new HeartbeatLostError(Math.round(silentMs / 1000));
    }
    await clock.sleep(heartbeatLimitMs - silentMs + 1000, signal);
  }
}

interface Limit {
  readonly clock: Clock;
  readonly ms: number;
  readonly late: () => Error;
}

async function within({ clock, ms, late }: Limit, promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const ended = Promise.withResolvers<void>();
  const onAbort = (): void => ended.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  using _timer = clock.timer(ms, () => ended.reject(late()));
  try {
    await Promise.race([promise, ended.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

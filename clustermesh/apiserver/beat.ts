import { type Store, type SyncStore, WatchStore, toText } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import { encodeTime } from '../wire/index.ts';
import { Wake } from './wake.ts';

/** Readers declare failure when none came for two minutes (kvstore-schema §9). */
export const heartbeatMs = 60_000;

/** Writes a heartbeat now and every minute. */
export async function beat(write: (value: string) => void, clock: Clock, signal: AbortSignal): Promise<void> {
  for (;;) {
    write(encodeTime(clock.now()));
    await clock.sleep(heartbeatMs, signal);
  }
}

/**
 * Keeps one key what it should be: whoever deletes or changes it, or whatever lease takes it away, it is back with the next
 * flush rather than at the next audit. Without its cluster config no new reader can connect.
 */
export async function guardKey(
  key: string,
  value: string,
  deps: {
    readonly store: Store;
    readonly sync: SyncStore;
    readonly clock: Clock;
    readonly log: Logger;
    /** Called whenever it was lost: other keys may be, too. */
    readonly lost: () => void;
  },
  signal: AbortSignal,
): Promise<void> {
  const { store, sync, clock, log } = deps;
  const wake = new Wake();
  const state = { lost: false };
  const notice = (): void => {
    state.lost = true;
    wake.notify();
  };
  const watch = new WatchStore({
    store,
    prefix: key,
    log,
    observer: {
      upsert: (rest, stored) => {
        if (rest === '' && toText(stored) !== value) notice();
      },
      remove: (rest) => {
        if (rest === '') notice();
      },
    },
  });
  sync.set(key, value);
  await using tasks = new TaskGroup(signal);
  const schedule = exponential({ firstMs: 50, maxMs: 1_000 });
  tasks.run((running) => retry((attempt) => watch.run(attempt), { clock, signal: running, schedule }));
  tasks.run(async (running) => {
    for (;;) {
      while (!state.lost) await wake.next(running);
      state.lost = false;
      log.warn('A key of ours was removed or changed and is written again', { [fields.key]: key });
      sync.delete(key);
      sync.set(key, value);
      deps.lost();
      // Two writers that insist on different values must not keep the store busy.
      await clock.sleep(500, running);
      // A store ends leases one after another: some may have gone only now.
      deps.lost();
    }
  });
  await tasks.wait();
}

import { setTimeout as sleepFor } from 'node:timers/promises';

/** Time as it is handed to everything that waits or dates something. */
export interface Clock {
  /** Wall time, milliseconds since 1970. It may step in both directions. */
  now(): number;
  /** Milliseconds that only grow, for budgets and time-outs. */
  monotonicMs(): number;
  /** Settles after `ms`. @throws the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `run` once after `ms`, unless the timer is disposed of before. It does not keep the process alive. */
  timer(ms: number, run: () => void): Timer;
}

export interface Timer extends Disposable {}

/** The longest delay that the runtime keeps: a longer one would fire at once. */
const longestTimeoutMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      for (let left = ms; ; left -= longestTimeoutMs) {
        await sleepFor(Math.min(left, longestTimeoutMs), undefined, signal ? { signal } : {});
        if (left <= longestTimeoutMs) return;
      }
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    }
  },
  timer: (ms, run) => {
    let handle: NodeJS.Timeout;
    const arm = (left: number): void => {
      const rest = left - longestTimeoutMs;
      handle = setTimeout(() => (rest > 0 ? arm(rest) : run()), Math.min(left, longestTimeoutMs));
      handle.unref();
    };
    arm(ms);
    return { [Symbol.dispose]: () => clearTimeout(handle) };
  },
};

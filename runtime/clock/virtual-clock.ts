import type { Clock, Timer } from './clock.ts';

interface Pending {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that moves only when told: for tests and simulation. Timers fire in order of time, then of creation. */
export class VirtualClock implements Clock {
  /** The wall clock's time where the monotonic one is 0: sums of parts of a millisecond would lose a little each. */
  #origin: number;
  #monotonic = 0;
  #order = 0;
  readonly #pending = new Set<Pending>();

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#origin = startMs;
  }

  now(): number {
    return this.#origin + this.#monotonic;
  }

  monotonicMs(): number {
    return this.#monotonic;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = (): void => {
        timer[Symbol.dispose]();
        reject(signal?.reason as Error);
      };
      const timer = this.timer(ms, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  timer(ms: number, run: () => void): Timer {
    const pending: Pending = { at: this.#monotonic + Math.max(0, ms), order: this.#order++, run };
    this.#pending.add(pending);
    return { [Symbol.dispose]: () => void this.#pending.delete(pending) };
  }

  /** Moves time by `ms`, firing what falls due and letting promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await settle();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#pending.delete(next);
      this.#monotonic = next.at;
      next.run();
      await settle();
    }
    this.#monotonic = end;
    await settle();
  }

  /** Steps the wall clock only, as an operator or NTP does. */
  stepWall(ms: number): void {
    this.#origin += ms;
  }

  #next(end: number): Pending | undefined {
    let first: Pending | undefined;
    for (const pending of this.#pending) {
      if (pending.at > end) continue;
      if (!first || pending.at < first.at || (pending.at === first.at && pending.order < first.order)) first = pending;
    }
    return first;
  }
}

/** Lets everything that is ready run, including chains of promises. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

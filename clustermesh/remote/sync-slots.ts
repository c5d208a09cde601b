import PQueue from 'p-queue';
import type { Clock } from '../../runtime/clock/index.ts';

/**
 * How many listings may run at a time, over all remote clusters: a restarted agent with many peers reads them in turns
 * rather than all at once. A slot is given back when its listing is complete, or taken back after a while, so that one
 * cluster that hangs in the middle cannot keep the others waiting.
 */
export class SyncSlots {
  readonly #queue: PQueue;
  readonly #clock: Clock;
  readonly #longestMs: number;

  constructor(options: { readonly clock: Clock; readonly concurrency?: number; readonly longestMs?: number }) {
    this.#queue = new PQueue({ concurrency: options.concurrency ?? 4 });
    this.#clock = options.clock;
    this.#longestMs = options.longestMs ?? 30_000;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Settles with the slot; disposing gives it back. @throws the signal's reason when it aborts first. */
  acquire(signal: AbortSignal): Promise<Disposable> {
    return new Promise((resolve, reject) => {
      const held = (): Promise<void> =>
        new Promise((release) => {
          const timer = this.#clock.timer(this.#longestMs, release);
          resolve({
            [Symbol.dispose]: () => {
              timer[Symbol.dispose]();
              release();
            },
          });
        });
      this.#queue.add(held, { signal }).catch(reject);
    });
  }
}

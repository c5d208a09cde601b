import { CoalescingQueue } from '../../runtime/queue/index.ts';
import type { Unit } from './units.ts';

/** Units that wait to be decided on, some at a time, each once however often it was looked at meanwhile. */
export class Lane {
  readonly #queue = new CoalescingQueue<string, Unit>();
  readonly #batchSize: number;
  #busy = false;

  /** @param batchSize as many are decided on at the same time */
  constructor(batchSize: number) {
    this.#batchSize = batchSize;
  }

  /** Nothing waits, and nothing is being decided on. */
  get idle(): boolean {
    return !this.#busy && this.#queue.size === 0;
  }

  add(id: string, unit: Unit): void {
    this.#queue.set(id, unit);
  }

  /** Calls `decide` for each until `signal` aborts, and `rested` whenever nothing waits any more. */
  async run(
    decide: (id: string, unit: Unit) => Promise<void>,
    rested: () => void,
    signal: AbortSignal,
  ): Promise<never> {
    for (;;) {
      await this.#queue.ready(signal);
      this.#busy = true;
      // What needs nothing from the store is done in this order.
      await Promise.all(this.#queue.take(this.#batchSize).map(([id, unit]) => decide(id, unit)));
      this.#busy = false;
      if (this.#queue.size === 0) rested();
    }
  }
}

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../runtime/clock/index.ts';

/** Nobody has asked for this long: the mesh sends no more. */
const quietMs = 500;
/** A pod whose clients do not stop is gone nevertheless (Kubernetes: the end of the grace period). */
const patienceMs = 10_000;

/** When a pod was last asked, and the wait until it is not asked any more. */
export class LastRequest {
  readonly #clock: Clock;
  readonly #turn: () => Promise<void>;
  #atMs = Number.NEGATIVE_INFINITY;

  /** `turn` lets the event loop handle what has come in. */
  constructor(clock: Clock, turn: () => Promise<void> = nextTurn) {
    this.#clock = clock;
    this.#turn = turn;
  }

  readonly note = (): void => {
    this.#atMs = this.#clock.monotonicMs();
  };

  /** Settles once nobody has asked for half a second, counted from now on, or after ten seconds. */
  async untilQuiet(): Promise<void> {
    const began = this.#clock.monotonicMs();
    for (;;) {
      const left = Math.min(Math.max(began, this.#atMs) + quietMs, began + patienceMs) - this.#clock.monotonicMs();
      if (left <= 0) return;
      await this.#clock.sleep(left);
      // A process that got no time for long sees that the time is over before it sees who has come meanwhile.
      await this.#turn();
    }
  }
}

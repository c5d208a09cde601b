import type { Clock } from '../../../runtime/clock/index.ts';

const quietMs = 60_000;

/** Runs at most once a minute what strangers could make happen any number of times, such as a line in the log. */
export class Seldom {
  readonly #clock: Clock;
  #last = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  run(what: () => void): void {
    if (this.#clock.monotonicMs() - this.#last < quietMs) return;
    this.#last = this.#clock.monotonicMs();
    what();
  }
}

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../runtime/clock/index.ts';

const sliceMs = 4;

/** Gives way to others of the process when a long piece of work has gone on for some milliseconds. */
export class TimeSlice {
  readonly #clock: Clock;
  #started: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#started = clock.monotonicMs();
  }

  get over(): boolean {
    return this.#clock.monotonicMs() - this.#started >= sliceMs;
  }

  /** The work has just waited for something, so that others had their turn. */
  restart(): void {
    this.#started = this.#clock.monotonicMs();
  }

  async giveWay(): Promise<void> {
    if (!this.over) return;
    await nextTurn();
    this.restart();
  }
}

import type { Clock, Timer } from '../../../runtime/clock/index.ts';

/** How often is looked at what has come to calls that are not read. */
const lookMs = 250;

/** A call whose requests wait. */
export interface HeldCall {
  /** Counts what has come meanwhile. */
  lookAtWaiting(): void;
}

/**
 * Calls whose requests are not read for now, as their client does not read either. What comes nevertheless is held by Node, up to
 * a window of HTTP/2 each, and nobody is told of it: so somebody has to look.
 */
export class HeldCalls implements Disposable {
  readonly #clock: Clock;
  readonly #calls = new Set<HeldCall>();
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(call: HeldCall): void {
    this.#calls.add(call);
    this.#timer ??= this.#clock.timer(lookMs, () => this.#look());
  }

  delete(call: HeldCall): void {
    this.#calls.delete(call);
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#calls.clear();
  }

  #look(): void {
    this.#timer = undefined;
    for (const call of this.#calls) call.lookAtWaiting();
    if (this.#calls.size > 0) this.#timer ??= this.#clock.timer(lookMs, () => this.#look());
  }
}

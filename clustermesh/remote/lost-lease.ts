import type { Clock, Timer } from '../../runtime/clock/index.ts';

/**
 * A remote cluster whose store answers, but no longer has what the cluster wrote of itself. What it told is kept for a
 * time; only when that is over it is withdrawn.
 */
export class LostLease implements Disposable {
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #expired: () => void;
  #sinceMs: number | undefined;
  #timer: Timer | undefined;

  /** @param graceMs 0 keeps for ever */
  constructor(clock: Clock, graceMs: number, expired: () => void) {
    this.#clock = clock;
    this.#graceMs = graceMs;
    this.#expired = expired;
  }

  /** For how long; undefined while nothing is lost. */
  get ageMs(): number | undefined {
    return this.#sinceMs === undefined ? undefined : this.#clock.monotonicMs() - this.#sinceMs;
  }

  /** Until what is known is withdrawn; undefined where that never happens. */
  get leftMs(): number | undefined {
    return this.#graceMs === 0 || this.ageMs === undefined ? undefined : Math.max(0, this.#graceMs - this.ageMs);
  }

  /** It is gone; the time runs from the first time that this is said. */
  begin(): void {
    if (this.#sinceMs !== undefined) return;
    this.#sinceMs = this.#clock.monotonicMs();
    if (this.#graceMs > 0) this.#timer = this.#clock.timer(this.#graceMs, this.#expired);
  }

  /** It is there again. */
  end(): void {
    this.#sinceMs = undefined;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  [Symbol.dispose](): void {
    this.end();
  }
}

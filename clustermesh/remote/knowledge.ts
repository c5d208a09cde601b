import type { Clock } from '../../runtime/clock/index.ts';

/** What an earlier life of this process knew. */
export interface Recalled {
  readonly asOfMs: number;
  readonly records: number;
  /** Kinds that were too much to be kept. */
  readonly leftOut: readonly string[];
}

/** Where what is known of a remote cluster comes from, and how old it may be: read in this life, recalled from an earlier one, or lost with that. */
export class Knowledge {
  readonly #clock: Clock;
  #known = false;
  #recalled: Recalled | undefined;
  #lost: string | undefined;
  /** When what is known was last known to be so; undefined before the first time in this life. */
  #trueAtMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Everything was read in this life. */
  get known(): boolean {
    return this.#known;
  }

  /** Why nothing, or not all, is known of what an earlier life knew; undefined where that is no loss. */
  get lost(): string | undefined {
    return this.#known ? undefined : this.#lost;
  }

  /** What is served until everything was read. */
  get recalled(): (Recalled & { readonly ageSeconds: number }) | undefined {
    return this.#recalled && { ...this.#recalled, ageSeconds: this.recalledAgeSeconds };
  }

  /** Since what is recalled was last known to be so; 0 where nothing is. */
  get recalledAgeSeconds(): number {
    const { asOfMs } = this.#recalled ?? {};
    return asOfMs === undefined ? 0 : Math.max(0, Math.floor((this.#clock.now() - asOfMs) / 1000));
  }

  recall(recalled: Recalled): void {
    this.#recalled = recalled;
  }

  lose(reason: string): void {
    this.#lost = reason;
  }

  /** Everything was read. */
  complete(): void {
    this.#known = true;
    this.#recalled = undefined;
    this.#lost = undefined;
  }

  /** What is known was so until now, and is followed no longer. */
  endFollowing(): void {
    this.#trueAtMs = this.#clock.monotonicMs();
  }

  /** What was known was taken back. That something was lost before stays so. */
  forget(): void {
    this.#known = false;
    this.#recalled = undefined;
    this.#trueAtMs = undefined;
  }

  /** Nobody cares any more for what was lost. */
  endLoss(): void {
    this.#lost = undefined;
  }

  /**
   * How old what is known may be; undefined while nothing is.
   * @param current it is followed at this moment
   * @param othersMs ages of other signs that it is still so
   */
  ageMs(current: boolean, othersMs: readonly number[]): number | undefined {
    if (this.#recalled) return this.recalledAgeSeconds * 1000;
    const ages = [...othersMs];
    if (current) ages.push(0);
    else if (this.#trueAtMs !== undefined) ages.push(this.#clock.monotonicMs() - this.#trueAtMs);
    return ages.length === 0 ? undefined : Math.max(...ages);
  }
}

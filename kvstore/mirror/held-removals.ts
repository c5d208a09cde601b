import type { Clock } from '../../runtime/clock/index.ts';

/** A store that was replaced, or whose writer is back, is written anew within this time. */
const settleMs = 2 * 60_000;
/** A writer that stays away for longer is not expected any more. */
const graceMs = 24 * 3_600_000;

/**
 * Removals that are not passed on, because they say nothing of what was removed: the key that vouches for the others, which their
 * writer never deletes, has gone as well, or the whole store is another one. They count once that key has been there again for two
 * minutes, or after a day; what is written again until then was never gone.
 */
export class HeldRemovals {
  readonly #clock: Clock;
  readonly #keys = new Set<string>();
  #goneMs: number | undefined;
  #backMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Whether a removal that comes now is to be held. */
  get holding(): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (this.#goneMs !== undefined) return nowMs - this.#goneMs < graceMs;
    return this.#backMs !== undefined && nowMs - this.#backMs < settleMs;
  }

  /** What vouches for the others has gone, or the store it was in. */
  doubt(): void {
    this.#goneMs ??= this.#clock.monotonicMs();
  }

  /** It is there. */
  vouch(): void {
    if (this.#goneMs === undefined) return;
    this.#goneMs = undefined;
    this.#backMs = this.#clock.monotonicMs();
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  hold(key: string): void {
    this.#keys.add(key);
  }

  /** It is there again, or removed. */
  forget(key: string): void {
    this.#keys.delete(key);
  }

  /** What is to be removed now: all that is still held, once nothing is held any more. */
  due(): readonly string[] {
    return this.holding ? [] : [...this.#keys];
  }
}

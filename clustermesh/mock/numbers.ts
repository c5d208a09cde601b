import type { Random } from '../../runtime/random/index.ts';

/** Numbers below a bound, of which some are in use: one is taken, or given back, at random and in constant time. */
export class NumberPool {
  readonly #used: number[] = [];
  readonly #place = new Map<number, number>();
  readonly #bound: number;
  readonly #random: Random;

  constructor(bound: number, random: Random) {
    this.#bound = bound;
    this.#random = random;
  }

  get size(): number {
    return this.#used.length;
  }

  /** One that is free; the pool must not be full. */
  take(): number {
    for (let number = this.#random.int(this.#bound); ; number = (number + 1) % this.#bound) {
      if (this.#place.has(number)) continue;
      this.#place.set(number, this.#used.length);
      this.#used.push(number);
      return number;
    }
  }

  /** One that is in use, or `undefined` when none is. */
  any(): number | undefined {
    return this.#used[this.#random.int(this.#used.length)];
  }

  giveBack(number: number): void {
    const place = this.#place.get(number);
    const last = this.#used.pop();
    if (place === undefined || last === undefined) throw new RangeError(`${number} is not in use`);
    this.#place.delete(number);
    if (last === number) return;
    this.#used[place] = last;
    this.#place.set(last, place);
  }

  [Symbol.iterator](): IterableIterator<number> {
    return this.#used.values();
  }
}

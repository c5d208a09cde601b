import { type Prefix, ipToBytes, ipv4ToNumber } from '../../values/ip/index.ts';

/** Addresses as disjoint blocks, for both families. Immutable; a question costs a binary search. */
export class BlockSet {
  readonly #v4: Intervals<number>;
  readonly #v6: Intervals<bigint>;

  constructor(prefixes: Iterable<Prefix>) {
    const v4: Interval<number>[] = [];
    const v6: Interval<bigint>[] = [];
    for (const prefix of prefixes)
      if (prefix.family === 4) v4.push(interval4(prefix));
      else v6.push(interval6(prefix));
    this.#v4 = new Intervals(v4, (last) => last + 1);
    this.#v6 = new Intervals(v6, (last) => last + 1n);
  }

  get empty(): boolean {
    return this.#v4.all.length === 0 && this.#v6.all.length === 0;
  }

  /** Whether an IPv4 address, as a number, lies in the set. */
  has4(address: number): boolean {
    return this.#v4.overlaps(address, address);
  }

  /** Whether any address of the block lies in the set. */
  overlaps(prefix: Prefix): boolean {
    if (prefix.family === 4) {
      const [first, last] = interval4(prefix);
      return this.#v4.overlaps(first, last);
    }
    const [first, last] = interval6(prefix);
    return this.#v6.overlaps(first, last);
  }

  /** Whether every address of the block lies in the set. */
  covers(prefix: Prefix): boolean {
    if (prefix.family === 4) {
      const [first, last] = interval4(prefix);
      return this.#v4.covers(first, last);
    }
    const [first, last] = interval6(prefix);
    return this.#v6.covers(first, last);
  }

  /** Whether every address of `other` lies in this set, too. */
  includes(other: BlockSet): boolean {
    return (
      other.#v4.all.every(([first, last]) => this.#v4.covers(first, last)) &&
      other.#v6.all.every(([first, last]) => this.#v6.covers(first, last))
    );
  }
}

type Interval<T> = readonly [first: T, last: T];

class Intervals<T extends number | bigint> {
  /** Sorted, disjoint and not adjacent. */
  readonly all: readonly Interval<T>[];

  constructor(intervals: readonly Interval<T>[], after: (last: T) => T) {
    const merged: [T, T][] = [];
    for (const [first, last] of intervals.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
      const end = merged.at(-1);
      if (!end || first > after(end[1])) merged.push([first, last]);
      else if (last > end[1]) end[1] = last;
    }
    this.all = merged;
  }

  overlaps(first: T, last: T): boolean {
    const found = this.#lastFrom(last);
    return found !== undefined && found[1] >= first;
  }

  covers(first: T, last: T): boolean {
    const found = this.#lastFrom(first);
    return found !== undefined && found[1] >= last;
  }

  /** The last interval that begins at `at` or before. */
  #lastFrom(at: T): Interval<T> | undefined {
    let low = 0;
    let high = this.all.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const [first] = this.all[middle] as Interval<T>;
      if (first <= at) low = middle + 1;
      else high = middle;
    }
    return this.all[low - 1];
  }
}

function interval4({ address, length }: Prefix): Interval<number> {
  const first = ipv4ToNumber(address);
  return [first, first + 2 ** (32 - length) - 1];
}

function interval6({ address, length }: Prefix): Interval<bigint> {
  const bytes = ipToBytes(address);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const first = (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
  return [first, first + (1n << BigInt(128 - length)) - 1n];
}

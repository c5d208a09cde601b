import type { Steps } from './steps.ts';

/**
 * Sorts in place into the very order that Go's `sort.Sort` gives (Go 1.20 and later): pattern-defeating quicksort, which
 * is not stable. Items that compare equal thus come as etcd has them, and a client that reads the first of many equal ones
 * gets the same. What it decides by (limits, choice of pivots, its random numbers) is part of that order.
 */
export function sortAsGo<T>(items: T[], less: (a: T, b: T) => boolean): Steps<void> {
  const depth = 32 - Math.clz32(items.length);
  return new GoSort(items, less).sort(0, items.length, depth);
}

/** Comparisons between two places where others may have their turn. */
const stepComparisons = 4096;
/** A comparison costs a fraction of what reading a row does. */
const stepCost = 512;

/** Shorter pieces are sorted by insertion. */
const insertionLength = 12;
/** From here on each of three candidates for the pivot is a median of three itself. */
const ninthersLength = 50;
/** That all comparisons found the wrong order says that the piece descends. */
const allSwapped = 12;
/** So many pairs may be put right in a piece that looks sorted. */
const repairs = 5;
/** In shorter ones none is. */
const repairLength = 50;
const shuffleLength = 8;

class GoSort<T> {
  readonly #items: T[];
  readonly #isLess: (a: T, b: T) => boolean;
  #compared = 0;

  constructor(items: T[], isLess: (a: T, b: T) => boolean) {
    this.#items = items;
    this.#isLess = isLess;
  }

  /** Sorts [start, end); after `depth` bad pivots by heap. */
  *sort(start: number, end: number, depth: number): Steps<void> {
    let balanced = true;
    let partitioned = true;
    for (;;) {
      if (this.#due()) yield stepCost;
      const length = end - start;
      if (length <= insertionLength) return this.#insert(start, end);
      if (depth === 0) return yield* this.#heap(start, end);
      if (!balanced) {
        this.#shuffle(start, end);
        depth -= 1;
      }
      let { pivot, swaps } = this.#choosePivot(start, end);
      if (swaps === allSwapped) {
        this.#reverse(start, end);
        pivot = end - 1 - (pivot - start);
        swaps = 0;
      }
      if (balanced && partitioned && swaps === 0 && (yield* this.#repair(start, end))) return;
      if (start > 0 && !this.#less(start - 1, pivot)) {
        // The item before the piece is its least, and so is the pivot: what equals it needs no more sorting.
        start = yield* this.#partitionEqual(start, end, pivot);
        continue;
      }
      const { middle, already } = yield* this.#partition(start, end, pivot);
      partitioned = already;
      const [left, right] = [middle - start, end - middle];
      balanced = Math.min(left, right) >= Math.floor(length / 8);
      if (left < right) {
        yield* this.sort(start, middle, depth);
        start = middle + 1;
      } else {
        yield* this.sort(middle + 1, end, depth);
        end = middle;
      }
    }
  }

  /** True now and then: others may have their turn. */
  #due(): boolean {
    if (this.#compared < stepComparisons) return false;
    this.#compared = 0;
    return true;
  }

  #insert(start: number, end: number): void {
    for (let i = start + 1; i < end; i++) for (let j = i; j > start && this.#less(j, j - 1); j--) this.#swap(j, j - 1);
  }

  *#heap(start: number, end: number): Steps<void> {
    const length = end - start;
    for (let root = (length - 1) >> 1; root >= 0; root--) {
      if (this.#due()) yield stepCost;
      this.#sink(start, root, length);
    }
    for (let last = length - 1; last >= 0; last--) {
      if (this.#due()) yield stepCost;
      this.#swap(start, start + last);
      this.#sink(start, 0, last);
    }
  }

  #sink(start: number, from: number, length: number): void {
    for (let root = from, child = 2 * root + 1; child < length; root = child, child = 2 * root + 1) {
      if (child + 1 < length && this.#less(start + child, start + child + 1)) child += 1;
      if (!this.#less(start + root, start + child)) return;
      this.#swap(start + root, start + child);
    }
  }

  /** Swaps three items in the middle with others that xorshift64, begun with the length, picks. */
  #shuffle(start: number, end: number): void {
    const length = end - start;
    if (length < shuffleLength) return;
    const mask = BigInt(2 ** (32 - Math.clz32(length)) - 1);
    const first = start + (length >> 2) * 2 - 1;
    let random = BigInt(length);
    for (let i = 0; i < 3; i++) {
      random ^= BigInt.asUintN(64, random << 13n);
      random ^= random >> 7n;
      random ^= BigInt.asUintN(64, random << 17n);
      const other = Number(random & mask);
      this.#swap(first + i, start + (other >= length ? other - length : other));
    }
  }

  #choosePivot(start: number, end: number): { readonly pivot: number; readonly swaps: number } {
    const length = end - start;
    const quarter = length >> 2;
    let swaps = 0;
    const ordered = (a: number, b: number): readonly [number, number] => {
      if (!this.#less(b, a)) return [a, b];
      swaps += 1;
      return [b, a];
    };
    const median = (a: number, b: number, c: number): number => {
      [a, b] = ordered(a, b);
      [b, c] = ordered(b, c);
      return ordered(a, b)[1];
    };
    let candidates = [start + quarter, start + quarter * 2, start + quarter * 3] as const;
    if (length >= ninthersLength) {
      const [a, b, c] = candidates;
      candidates = [median(a - 1, a, a + 1), median(b - 1, b, b + 1), median(c - 1, c, c + 1)];
    }
    return { pivot: median(...candidates), swaps };
  }

  /** True when the piece is sorted now, at little cost. */
  *#repair(start: number, end: number): Steps<boolean> {
    let i = start + 1;
    for (let step = 0; step < repairs; step++) {
      while (i < end && !this.#less(i, i - 1)) {
        i++;
        if (this.#due()) yield stepCost;
      }
      if (i === end) return true;
      if (end - start < repairLength) return false;
      this.#swap(i, i - 1);
      // The first of the two goes down, even beyond the piece as Go's does, the second one up.
      if (i - start >= 2) for (let j = i - 1; j >= 1 && this.#less(j, j - 1); j--) this.#swap(j, j - 1);
      if (end - i >= 2) for (let j = i + 1; j < end && this.#less(j, j - 1); j++) this.#swap(j, j - 1);
      if (this.#due()) yield stepCost;
    }
    return false;
  }

  /** Less than the pivot to the left of it, the others to the right; `already` when nothing had to be moved for that. */
  *#partition(
    start: number,
    end: number,
    pivot: number,
  ): Steps<{ readonly middle: number; readonly already: boolean }> {
    this.#swap(start, pivot);
    let i = start + 1;
    let j = end - 1;
    for (let already = true; ; already = false) {
      while (i <= j && this.#less(i, start)) {
        i++;
        if (this.#due()) yield stepCost;
      }
      while (i <= j && !this.#less(j, start)) {
        j--;
        if (this.#due()) yield stepCost;
      }
      if (i > j) {
        this.#swap(j, start);
        return { middle: j, already };
      }
      this.#swap(i++, j--);
    }
  }

  /** What equals the pivot first; gives where the greater ones begin. */
  *#partitionEqual(start: number, end: number, pivot: number): Steps<number> {
    this.#swap(start, pivot);
    let i = start + 1;
    let j = end - 1;
    for (;;) {
      while (i <= j && !this.#less(start, i)) {
        i++;
        if (this.#due()) yield stepCost;
      }
      while (i <= j && this.#less(start, j)) {
        j--;
        if (this.#due()) yield stepCost;
      }
      if (i > j) return i;
      this.#swap(i++, j--);
    }
  }

  #reverse(start: number, end: number): void {
    for (let i = start, j = end - 1; i < j;) this.#swap(i++, j--);
  }

  #less(a: number, b: number): boolean {
    this.#compared += 1;
    return this.#isLess(this.#items[a] as T, this.#items[b] as T);
  }

  #swap(a: number, b: number): void {
    const kept = this.#items[a] as T;
    this.#items[a] = this.#items[b] as T;
    this.#items[b] = kept;
  }
}

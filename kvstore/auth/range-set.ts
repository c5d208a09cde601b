import type { KeyRange } from '../contract/index.ts';
import { Span } from '../engine/index.ts';

/** Keys from `start` on, up to but not `end`; to the last one where there is no end. */
interface Stretch {
  readonly start: Uint8Array;
  readonly end: Uint8Array | undefined;
}

/** A set of keys made of ranges. Ranges that touch are one, so that what spans both is contained. */
export class RangeSet {
  readonly #stretches: readonly Stretch[];

  constructor(ranges: Iterable<KeyRange>) {
    const sorted = [...ranges]
      .map((range): Stretch => new Span(range))
      .filter((stretch) => !isEmpty(stretch))
      .toSorted((a, b) => Buffer.compare(a.start, b.start));
    const merged: Stretch[] = [];
    for (const stretch of sorted) {
      const last = merged.at(-1);
      if (last === undefined || (last.end !== undefined && Buffer.compare(last.end, stretch.start) < 0))
        merged.push(stretch);
      else merged[merged.length - 1] = { start: last.start, end: later(last.end, stretch.end) };
    }
    this.#stretches = merged;
  }

  get empty(): boolean {
    return this.#stretches.length === 0;
  }

  /** Whether every key of `range` is in the set. A range that holds none, its end before its start, is not. */
  contains(range: KeyRange): boolean {
    const wanted: Stretch = new Span(range);
    return !isEmpty(wanted) && this.#stretches.some((stretch) => encloses(stretch, wanted));
  }
}

function isEmpty({ start, end }: Stretch): boolean {
  return end !== undefined && Buffer.compare(start, end) >= 0;
}

function encloses(outer: Stretch, inner: Stretch): boolean {
  if (Buffer.compare(outer.start, inner.start) > 0) return false;
  if (outer.end === undefined) return true;
  return inner.end !== undefined && Buffer.compare(inner.end, outer.end) <= 0;
}

function later(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return undefined;
  return Buffer.compare(a, b) >= 0 ? a : b;
}

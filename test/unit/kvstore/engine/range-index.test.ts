import { describe, expect, test } from '@jest/globals';
import { RangeIndex } from '../../../../kvstore/engine/range-index.ts';
import { Span } from '../../../../kvstore/engine/span.ts';
import { randomFrom } from '../random.ts';

describe('the index of ranges', () => {
  test('finds what a look at every range finds, whatever was added and removed', () => {
    const random = randomFrom(11);
    const bytes = (): Uint8Array =>
      Uint8Array.from({ length: Math.floor(random() * 4) }, () => [0, 1, 97, 98, 255][Math.floor(random() * 5)] ?? 0);
    const index = new RangeIndex<number>();
    const there = new Map<number, Span>();
    for (let i = 0; i < 3000; i++) {
      if (random() < 0.55) {
        const kind = random();
        const rangeEnd = kind < 0.2 ? undefined : kind < 0.4 ? new Uint8Array([0]) : bytes();
        const span = new Span({ key: bytes(), ...(rangeEnd ? { rangeEnd } : {}) });
        there.set(i, span);
        index.add(span, i);
      } else {
        const [item, span] = [...there][Math.floor(random() * there.size)] ?? [];
        if (item === undefined || !span) continue;
        there.delete(item);
        index.delete(span, item);
      }
      const key = bytes();
      const expected = [...there].filter(([, span]) => span.contains(key)).map(([item]) => item);
      expect(index.at(key).toSorted((a, b) => a - b)).toEqual(expected);
    }
    for (const [item, span] of there) index.delete(span, item);
    expect(index.at(new Uint8Array([97]))).toEqual([]);
  });
});

import { describe, expect, test } from '@jest/globals';
import { Pace } from '../../../../kvstore/embedded/wal/pace.ts';

/** Records with so long a pause before each and so long a sync; whether the last one might hold the loop. */
function after(records: readonly { readonly pauseMs: number; readonly syncMs: number }[]): boolean {
  const pace = new Pace();
  let now = 1000;
  let alone = false;
  for (const { pauseMs, syncMs } of records) {
    alone = pace.alone((now += pauseMs));
    pace.ended((now += syncMs));
  }
  return alone;
}
const times = (count: number, pauseMs: number, syncMs: number) =>
  Array.from({ length: count }, () => ({ pauseMs, syncMs }));

describe('a sync may hold the event loop', () => {
  test('for a writer who pauses for each answer', () => {
    expect(after(times(7, 0.3, 0.2))).toBe(false);
    expect(after(times(8, 0.3, 0.2))).toBe(true);
  });

  test('not while others queue', () => {
    expect(after(times(100, 0.02, 0.2))).toBe(false);
    expect(after([...times(100, 0.3, 0.2), ...times(1, 0.02, 0.2)])).toBe(false);
  });

  test('not on a disk that takes its time, until it is fast again', () => {
    expect(after(times(100, 0.3, 5))).toBe(false);
    expect(after([...times(100, 0.3, 0.2), ...times(2, 0.3, 5)])).toBe(false);
    expect(after([...times(100, 0.3, 5), ...times(40, 0.3, 0.2)])).toBe(true);
  });
});

import { describe, expect, test } from '@jest/globals';
import { Leaderless } from '../../../../../kvstore/etcd/session/leaderless.ts';
import { VirtualClock } from '../../../../../runtime/clock/index.ts';

describe('a member that says that it has no leader', () => {
  test('is left once an election would be over, and not for one of long ago', async () => {
    const clock = new VirtualClock();
    const leaderless = new Leaderless(clock, 3);
    const connection = {};
    expect(leaderless.said(connection)).toBe(false);
    await clock.advance(1000);
    expect(leaderless.said(connection)).toBe(false);
    await clock.advance(20_000);
    expect(leaderless.said(connection)).toBe(false);
    await clock.advance(7_000);
    expect(leaderless.said(connection)).toBe(true);
  });

  test('is left for each of the others once in half a minute, and never where there is no other', async () => {
    const clock = new VirtualClock();
    const leaderless = new Leaderless(clock, 3);
    const alone = new Leaderless(clock, 1);
    const left: number[] = [];
    let connection = {};
    for (let ms = 0; ms < 60_000; ms += 500) {
      expect(alone.said(clock)).toBe(false);
      if (leaderless.said(connection)) {
        left.push(ms);
        connection = {};
      }
      await clock.advance(500);
    }
    expect(left).toEqual([1500, 3500, 31_500, 33_500]);
  });
});

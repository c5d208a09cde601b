import { expect, test } from '@jest/globals';
import { LastRequest } from '../../../lab/pods/last-request.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';

/** Waits from 0 ms on, is asked at each of these times, and says when the wait was over. */
async function quietAt(times: readonly number[], endMs: number): Promise<number> {
  const clock = new VirtualClock();
  const began = clock.monotonicMs();
  const last = new LastRequest(clock, () => Promise.resolve());
  let settled = -1;
  void last.untilQuiet().then(() => (settled = clock.monotonicMs() - began));
  for (const time of [...times, endMs]) {
    await clock.advance(time - (clock.monotonicMs() - began));
    last.note();
  }
  return settled;
}

test.each([
  { when: 'nobody asks', times: [], quiet: 500 },
  { when: 'somebody asked a moment later', times: [100], quiet: 600 },
  { when: 'requests come again and again', times: [400, 800, 1200, 1600], quiet: 2100 },
  { when: 'there is a pause that is long enough', times: [100, 700, 800], quiet: 600 },
  { when: 'requests never end', times: Array.from({ length: 120 }, (_, index) => index * 100), quiet: 10_000 },
])('a pod that stops is quiet after $quiet ms when $when', async ({ times, quiet }) => {
  expect(await quietAt(times, 12_000)).toBe(quiet);
});

test('who came while the process got no time is seen before the time is over', async () => {
  const clock = new VirtualClock();
  let waiting = true;
  const last: LastRequest = new LastRequest(clock, async () => {
    if (waiting) last.note();
    waiting = false;
  });
  let quiet = false;
  void last.untilQuiet().then(() => (quiet = true));
  await clock.advance(999);
  expect(quiet).toBe(false);
  await clock.advance(1);
  expect(quiet).toBe(true);
});

import { expect, test } from '@jest/globals';
import { LastBeat } from '../../../../clustermesh/remote/last-beat.ts';
import { encodeTime } from '../../../../clustermesh/wire/index.ts';
import { toBytes } from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

test.each(['no time at all', encodeTime(Date.UTC(2999, 0, 1))])(
  'a beat that is found again with each connection is one beat, also as %j',
  async (text) => {
    const clock = new VirtualClock();
    const last = new LastBeat(clock);
    last.listening();
    last.beat(toBytes(text), 'listed');
    expect(last.stale).toBe(false);
    for (let i = 0; i < 3; i++) {
      await clock.advance(60_000);
      last.beat(toBytes(text), 'listed');
    }
    expect(last).toMatchObject({ stale: true, ageMs: 180_000 });
    last.beat(toBytes(text), 'arrived');
    expect(last).toMatchObject({ stale: false, ageMs: 0 });
  },
);

test('one that is found counts from the time that it names', async () => {
  const clock = new VirtualClock();
  await clock.advance(500_000);
  const last = new LastBeat(clock);
  last.beat(toBytes(encodeTime(clock.now() - 90_000)), 'listed');
  expect(last).toMatchObject({ stale: false, ageMs: 90_000 });
  await clock.advance(31_000);
  expect(last.stale).toBe(true);
});

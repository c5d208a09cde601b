import { expect, test } from '@jest/globals';
import { RoomNotice } from '../../../../kvstore/embedded/room-notice.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

test('a store that is full and not full in turns says so once a minute, and what it said it takes back', async () => {
  const clock = new VirtualClock();
  const said: string[] = [];
  const notice = new RoomNotice(clock, ({ state, limit }) => said.push(`${state} (${limit})`));
  const sizes = { inUseBytes: 1, quotaBytes: 1 };
  for (let i = 0; i < 100; i++) {
    notice.look('quota', sizes);
    notice.look(undefined, sizes);
  }
  expect(said).toEqual(['full (quota)', 'room again (quota)']);
  notice.look('disk', sizes);
  await clock.advance(59_000);
  notice.look('disk', sizes);
  expect(said).toHaveLength(2);
  await clock.advance(1_000);
  // One that stays full is told, if late.
  for (let i = 0; i < 100; i++) notice.look('disk', sizes);
  expect(said.slice(2)).toEqual(['full (disk)']);
  notice.look(undefined, sizes);
  expect(said.slice(3)).toEqual(['room again (disk)']);
});

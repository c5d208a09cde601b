import { describe, expect, test } from '@jest/globals';
import { GrowingRoom, PageRoom } from '../../../../../kvstore/etcd/http2/room.ts';

/** Takes blocks as a stream does when `bytes` come in one go; gives their sizes. */
function take(room: GrowingRoom, bytes: number): number[] {
  const sizes: number[] = [];
  for (let left = bytes; left > 0;) {
    const { length } = room.next();
    sizes.push(length);
    left -= length;
  }
  return sizes;
}

describe('room for what comes for ever', () => {
  test('blocks grow with a flood, up to 64 KiB', () => {
    expect(take(new GrowingRoom(), 200_000)).toEqual([256, 1024, 4096, 16_384, 65_536, 65_536, 65_536]);
  });

  test('after a flood nothing large is kept, and a line that comes alone gets a small block', () => {
    const room = new GrowingRoom();
    take(room, 200_000);
    expect(room.keepsRest(200_000)).toBe(false);
    take(room, 300);
    expect(room.keepsRest(300)).toBe(false);
    expect(take(room, 300)).toEqual([600]);
    expect(room.keepsRest(300)).toBe(true);
  });

  test('blocks share their memory with nobody: who keeps one keeps nothing else', () => {
    const block = new GrowingRoom().next();
    expect(block.buffer.byteLength).toBe(block.length);
  });
});

test('a page of a few keys takes no block that is used again', () => {
  using room = new PageRoom();
  expect([room.next().length, room.next().length]).toEqual([4096, 262_144]);
});

test('the next listing has the blocks of the last one, unless they were collected in between', () => {
  const takeTwo = (): Buffer => {
    using room = new PageRoom();
    room.next();
    return room.next();
  };
  const block = takeTwo();
  expect(takeTwo()).toBe(block);
});

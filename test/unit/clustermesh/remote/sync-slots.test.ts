import { describe, expect, test } from '@jest/globals';
import { SyncSlots } from '../../../../clustermesh/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { settle } from './support.ts';

describe('slots for listings', () => {
  const open = async (wanted: number) => {
    const clock = new VirtualClock();
    const slots = new SyncSlots({ clock, concurrency: 4, longestMs: 30_000 });
    const held: Disposable[] = [];
    const controller = new AbortController();
    const waiting = Array.from({ length: wanted }, () =>
      slots.acquire(controller.signal).then((slot) => held.push(slot)),
    );
    await settle();
    return { clock, slots, held, controller, waiting };
  };

  test('are four at a time; one given back goes to the next', async () => {
    const { slots, held, waiting } = await open(6);
    expect(held).toHaveLength(4);
    expect(slots.waiting).toBe(2);
    held[0]?.[Symbol.dispose]();
    await settle();
    expect(held).toHaveLength(5);
    for (const slot of held) slot[Symbol.dispose]();
    await Promise.all(waiting);
  });

  test('are taken back from a listing that hangs', async () => {
    const { clock, held, waiting } = await open(6);
    await clock.advance(30_000);
    await Promise.all(waiting);
    expect(held).toHaveLength(6);
  });

  test('are not waited for by those who no longer want one', async () => {
    const { held, controller, waiting } = await open(5);
    controller.abort(new Error('no longer'));
    await expect(waiting[4]).rejects.toThrow('no longer');
    for (const slot of held) slot[Symbol.dispose]();
  });
});

import { expect } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Owes, omitted } from './cases.ts';
import { type StoreContext, digits } from './context.ts';
import { Follower } from './follower.ts';
import { eventually } from './waiting.ts';

/** Readers that do not keep up: they cost bounded memory, hold up nobody, and miss nothing that lasts. */
export function slowReaderCases(context: StoreContext, owes: Owes): void {
  owes('O7', 'a reader that stands still holds up neither writers nor other readers', async () => {
    const prefix = context.prefix();
    await using slow = await new Follower(context.store, prefix).whenSynced();
    const release = slow.hold();
    await using quick = await new Follower(context.store, prefix).whenSynced();
    for (let round = 0; round < 5; round++) {
      await context.fill(prefix, 200);
      await context.store.put(`${prefix}round`, `${round}`);
      await eventually(() => quick.state.get(`${prefix}round`) === `${round}`);
    }
    release();
    await slow.holds(await context.contents(prefix));
  });

  owes('O7', 'a reader that stands still while keys come and go ends with what is left', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 300);
    await using slow = await new Follower(context.store, prefix).whenSynced();
    const release = slow.hold();
    for (let i = 0; i < 300; i += 3) await context.store.delete(prefix + digits(i));
    await context.fill(prefix, 100);
    release();
    await slow.holds(await context.contents(prefix));
  });

  owes('O7', 'a reader that stood still through its listing ends with the right state', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 500);
    await using slow = new Follower(context.store, prefix, { pageSize: 20 });
    const release = slow.hold();
    await eventually(() => slow.batches.length > 0);
    await context.fill(prefix, 500);
    await context.store.deletePrefix(`${prefix}00`);
    release();
    await slow.holds(await context.contents(prefix));
    expect(slow.state.size).toBe(400);
  });

  (context.promises.elsewhere ? owes : omitted)('O7', 'a reader that stands still costs bounded memory', async () => {
    const prefix = context.prefix();
    await using slow = await new Follower(context.store, prefix).whenSynced();
    const release = slow.hold();
    const value = Buffer.alloc(256 * 1024, 'x');
    const before = usedBytes();
    // 64 MiB pass by.
    for (let i = 0; i < 256; i++) await context.store.put(`${prefix}${i % 8}`, value);
    // What is garbage already goes sooner or later; what waits for the reader does not.
    await eventually(() => usedBytes() - before < 32 * 1024 ** 2);
    await context.store.put(`${prefix}last`, 'x');
    release();
    await eventually(() => slow.state.size === 9);
  });
}

/** What is in use now, after a full collection. */
function usedBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

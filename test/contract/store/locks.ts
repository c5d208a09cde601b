import { expect, test } from '@jest/globals';
import type { Lock } from '../../../kvstore/index.ts';
import { type StoreContext, eventually, pause, text } from './fixture.ts';

/** Locks: one holder at a time, and writes that fail once it is another. */
export function lockTests(context: StoreContext): void {
  test('the key of a lock is its name and its lease', async () => {
    const name = `${context.prefix()}lock`;
    const lock = await context.store.lock(name);
    const entry = await context.store.get(lock.key);
    expect(text(lock.key)).toBe(`${name}/${entry?.lease.toString(16)}`);
    expect(entry?.createRevision).toBe(lock.createRevision);
    await lock.release();
    expect(await context.store.get(lock.key)).toBeUndefined();
  });

  test('a second caller waits until the first releases', async () => {
    const name = `${context.prefix()}lock`;
    const first = await context.store.lock(name);
    let taken = false;
    const second = context.store.lock(name).then((lock) => {
      taken = true;
      return lock;
    });
    await pause(50);
    expect(taken).toBe(false);
    await first.release();
    const lock = await second;
    expect(lock.createRevision).toBeGreaterThan(first.createRevision);
    await lock.release();
  });

  test('a second client waits as well', async () => {
    const name = `${context.prefix()}lock`;
    const other = (await context.opened.another?.()) ?? context.store;
    const first = await context.store.lock(name);
    const waiting = other.lock(name);
    await pause(30);
    await first.release();
    const second = await waiting;
    await second.release();
    if (other !== context.store) await other[Symbol.asyncDispose]();
  });

  test('there is never more than one holder', async () => {
    const name = `${context.prefix()}lock`;
    let holders = 0;
    let most = 0;
    const hold = async (): Promise<void> => {
      await using _lock = await context.store.lock(name);
      most = Math.max(most, ++holders);
      await pause(5);
      holders--;
    };
    await Promise.all(Array.from({ length: 8 }, hold));
    expect(most).toBe(1);
  });

  test('those who wait get the lock in the order in which they came', async () => {
    const name = `${context.prefix()}lock`;
    const first = await context.store.lock(name);
    const order: number[] = [];
    const waiting: Promise<Lock>[] = [];
    for (const i of [1, 2, 3]) {
      waiting.push(
        context.store.lock(name).then((lock) => {
          order.push(i);
          return lock;
        }),
      );
      await eventually(async () => (await candidates(context, name)) === i + 1);
    }
    await first.release();
    for (const lock of waiting) await (await lock).release();
    expect(order).toEqual([1, 2, 3]);
  });

  test('different names do not wait for each other', async () => {
    const prefix = context.prefix();
    await using one = await context.store.lock(`${prefix}one`);
    await using two = await context.store.lock(`${prefix}two`);
    expect(one.lost.aborted || two.lost.aborted).toBe(false);
  });

  test('a write with the fence passes while the lock is held and fails afterwards', async () => {
    const prefix = context.prefix();
    const lock = await context.store.lock(`${prefix}lock`);
    const write = (): Promise<{ readonly succeeded: boolean }> =>
      context.store.transact({ when: [lock.fence()], then: [{ type: 'put', key: `${prefix}a`, value: 'x' }] });
    expect((await write()).succeeded).toBe(true);
    await lock.release();
    expect((await write()).succeeded).toBe(false);
  });

  test('a caller that gives up waiting leaves nothing behind', async () => {
    const name = `${context.prefix()}lock`;
    const first = await context.store.lock(name);
    const giveUp = new AbortController();
    const waiting = context.store.lock(name, { signal: giveUp.signal });
    await eventually(async () => (await candidates(context, name)) === 2);
    const reason = new Error('enough');
    giveUp.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await eventually(async () => (await candidates(context, name)) === 1);
    const third = context.store.lock(name);
    await first.release();
    await (await third).release();
  });

  test('the holder is told when it loses the lock, and the next one gets it', async () => {
    const name = `${context.prefix()}lock`;
    const lock = await context.store.lock(name, { ttlSeconds: 2 });
    const next = context.store.lock(name);
    await eventually(async () => (await candidates(context, name)) === 2);
    const lease = (await context.store.get(lock.key))?.lease ?? 0n;
    await context.opened.revokeLease(lease);
    const second = await next;
    await eventually(() => lock.lost.aborted);
    expect((await context.store.transact({ when: [lock.fence()], then: [] })).succeeded).toBe(false);
    await second.release();
  });
}

async function candidates(context: StoreContext, name: string): Promise<number> {
  let count = 0;
  for await (const page of context.store.list(`${name}/`)) count += page.entries.length;
  return count;
}

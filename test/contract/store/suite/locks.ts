import { expect } from '@jest/globals';
import { LeaseNotFoundError, type Lock } from '../../../../kvstore/index.ts';
import type { Owes } from './cases.ts';
import { type StoreContext, text } from './context.ts';
import { eventually, pause } from './waiting.ts';

/** Locks: one holder at a time, and writes that fail once it is another. */
export function lockCases(context: StoreContext, owes: Owes, patiently: Owes): void {
  owes('X1', 'the key of a lock is its name and its lease', async () => {
    const name = `${context.prefix()}lock`;
    const lock = await context.store.lock(name);
    const entry = await context.store.get(lock.key);
    expect(text(lock.key)).toBe(`${name}/${entry?.lease.toString(16)}`);
    expect(entry?.createRevision).toBe(lock.createRevision);
    await lock.release();
    expect(await context.store.get(lock.key)).toBeUndefined();
  });

  owes('X2', 'a second caller waits until the first releases', async () => {
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

  owes('X2', 'a second client waits as well', async () => {
    const name = `${context.prefix()}lock`;
    const other = await context.another();
    const first = await context.store.lock(name);
    const waiting = other.lock(name);
    await pause(30);
    await first.release();
    const second = await waiting;
    await second.release();
    await other[Symbol.asyncDispose]();
  });

  owes('X2', 'there is never more than one holder', async () => {
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

  owes('X3', 'those who wait get the lock in the order in which they came', async () => {
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

  owes('X2', 'different names do not wait for each other', async () => {
    const prefix = context.prefix();
    await using one = await context.store.lock(`${prefix}one`);
    await using two = await context.store.lock(`${prefix}two`);
    expect(one.lost.aborted || two.lost.aborted).toBe(false);
  });

  owes('X4', 'a write with the fence passes while the lock is held and fails afterwards', async () => {
    const prefix = context.prefix();
    const lock = await context.store.lock(`${prefix}lock`);
    const write = (): Promise<{ readonly succeeded: boolean }> =>
      context.store.transact({ when: [lock.fence()], then: [{ type: 'put', key: `${prefix}a`, value: 'x' }] });
    expect((await write()).succeeded).toBe(true);
    await lock.release();
    expect((await write()).succeeded).toBe(false);
  });

  owes('X5', 'a caller that gives up waiting leaves nothing behind', async () => {
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

  owes('X4', 'the fence of a former holder fails although another holds the lock now', async () => {
    const prefix = context.prefix();
    const first = await context.store.lock(`${prefix}lock`);
    const next = context.store.lock(`${prefix}lock`);
    await first.release();
    const second = await next;
    const write = (lock: Lock, value: string): Promise<{ readonly succeeded: boolean }> =>
      context.store.transact({ when: [lock.fence()], then: [{ type: 'put', key: `${prefix}a`, value }] });
    expect((await write(second, 'second')).succeeded).toBe(true);
    expect((await write(first, 'first')).succeeded).toBe(false);
    expect(text((await context.store.get(`${prefix}a`))?.value)).toBe('second');
    await second.release();
  });

  owes('X4', 'the store itself never sees two owners: fenced writes of many holders follow one another', async () => {
    const prefix = context.prefix();
    const key = `${prefix}owned`;
    await context.store.put(key, '0');
    await using other = await context.another();
    const turns = Array.from({ length: 6 }, async (_, i) => {
      const store = i % 2 === 0 ? context.store : other;
      await using lock = await store.lock(`${prefix}lock`);
      // Read, think, write: without the lock somebody else would write in between.
      const before = Number(text((await store.get(key))?.value));
      await pause(3);
      const { succeeded } = await store.transact({
        when: [lock.fence()],
        then: [{ type: 'put', key, value: `${before + 1}` }],
      });
      expect(succeeded).toBe(true);
    });
    await Promise.all(turns);
    expect(text((await context.store.get(key))?.value)).toBe('6');
  });

  owes('X4', 'a fence holds from the moment on that the lease is gone, before the owner knows', async () => {
    const prefix = context.prefix();
    const lock = await context.store.lock(`${prefix}lock`);
    await context.opened.revokeLease((await context.store.get(lock.key))?.lease ?? 0n);
    const write = { when: [lock.fence()], then: [{ type: 'put', key: `${prefix}a`, value: 'x' } as const] };
    expect((await context.store.transact(write)).succeeded).toBe(false);
    expect(await context.store.get(`${prefix}a`)).toBeUndefined();
    await lock.release();
  });

  patiently('X5', 'who waits in vain is told: its own lease ended, and nobody gets its place', async () => {
    const name = `${context.prefix()}lock`;
    await using _first = await context.store.lock(name);
    const waiting = context.store.lock(name, { ttlSeconds: 6 }).then(
      async (lock) => lock.release().then(() => undefined),
      (error: unknown) => error,
    );
    await eventually(async () => (await candidates(context, name)) === 2);
    const last = (await context.entries(`${name}/`)).toSorted((a, b) => b.createRevision - a.createRevision)[0];
    await context.opened.revokeLease(last?.lease ?? 0n);
    expect(await candidates(context, name)).toBe(1);
    expect(await waiting).toBeInstanceOf(LeaseNotFoundError);
  });

  patiently('X6', 'the holder is told when it loses the lock, and the next one gets it', async () => {
    const name = `${context.prefix()}lock`;
    const lock = await context.store.lock(name, { ttlSeconds: 6 });
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

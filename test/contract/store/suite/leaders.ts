import { expect } from '@jest/globals';
import { KvStoreError } from '../../../../kvstore/index.ts';
import type { Owes } from './cases.ts';
import { type StoreContext, digits, insist, text } from './context.ts';
import { Follower } from './follower.ts';
import { again, eventually, pause } from './waiting.ts';

/** Several members of which the leading one ends, and comes back. */
export function leaderCases(context: StoreContext, owes: Owes): void {
  owes('F7', 'what was acknowledged before, during and after a change of leaders is there', async () => {
    const prefix = context.prefix();
    const written = new Map<string, string>();
    await using load = again(async (i) => {
      const key = prefix + digits(i);
      await insist(context.store, key, `${i}`);
      written.set(key, `${i}`);
      await pause(2);
    });
    await eventually(() => written.size > 30);
    const bringBack = await context.disturbance('killLeader')();
    const during = written.size;
    await eventually(() => written.size > during + 30);
    await bringBack();
    const after = written.size;
    await eventually(() => written.size > after + 30);
    await load.stop();
    const found = await context.contents(prefix);
    for (const [key, value] of written) expect(found.get(key)).toBe(value);
  });

  owes('F7', 'a watch goes on across a change of leaders: in order, nothing twice, nothing removed', async () => {
    const prefix = context.prefix();
    await context.fill(`${prefix}stable/`, 100);
    await using follower = await new Follower(context.store, prefix).whenSynced();
    await using other = await context.another();
    await using second = await new Follower(other, prefix).whenSynced();
    const bringBack = await context.disturbance('killLeader')();
    for (let i = 0; i < 40; i++) await insist(context.store, prefix + digits(i % 10), `${i}`);
    await bringBack();
    for (let i = 0; i < 10; i++) await insist(context.store, prefix + digits(i), 'after');
    const truth = await context.contents(prefix);
    for (const watch of [follower, second]) {
      await watch.holds(truth);
      expect(watch.marks).toEqual(['start', 'synced']);
      expect(watch.removed).toEqual([]);
      const seen = watch.live.map(({ key, revision }) => `${revision} ${key}`);
      expect(new Set(seen).size).toBe(seen.length);
      const revisions = watch.live.map(({ revision }) => revision);
      expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    }
  });

  owes('F7', 'a lease outlives a change of leaders with its keys', async () => {
    const prefix = context.prefix();
    const lease = await context.store.grantLease({ ttlSeconds: 15 });
    await context.store.put(`${prefix}a`, 'x', { lease: lease.id });
    const bringBack = await context.disturbance('killLeader')();
    await insist(context.store, `${prefix}b`, 'x');
    expect((await context.store.get(`${prefix}a`))?.lease).toBe(lease.id);
    await bringBack();
    await context.settled();
    expect(lease.lost.aborted).toBe(false);
    expect((await context.store.get(`${prefix}a`))?.lease).toBe(lease.id);
    await lease.revoke();
    await eventually(async () => (await context.store.get(`${prefix}a`)) === undefined);
  });

  owes('F7', 'a lock has one owner across a change of leaders', async () => {
    const prefix = context.prefix();
    await using other = await context.another();
    const lock = await context.store.lock(`${prefix}lock`);
    let taken = false;
    const next = until(async () => {
      const second = await other.lock(`${prefix}lock`);
      taken = true;
      return second;
    });
    await eventually(async () => (await context.entries(`${prefix}lock/`)).length === 2);
    const bringBack = await context.disturbance('killLeader')();
    const write = { when: [lock.fence()], then: [{ type: 'put', key: `${prefix}a`, value: 'x' } as const] };
    expect((await until(() => context.store.transact(write))).succeeded).toBe(true);
    expect(taken).toBe(false);
    await bringBack();
    await context.settled();
    expect(taken).toBe(false);
    await until(() => lock.release());
    const second = await next;
    expect((await until(() => context.store.transact(write))).succeeded).toBe(false);
    await until(() => second.release());
  });

  owes('F7', 'a counter that is raised by compare-and-set loses no acknowledged step', async () => {
    const key = `${context.prefix()}counter`;
    await context.store.put(key, '0');
    let steps = 0;
    let unknown = 0;
    const raise = async (): Promise<void> => {
      try {
        const entry = await context.store.get(key);
        const { succeeded } = await context.store.transact({
          when: [{ key, target: 'mod', result: 'equal', value: entry?.modRevision ?? 0 }],
          then: [{ type: 'put', key, value: `${Number(text(entry?.value)) + 1}` }],
        });
        if (succeeded) steps += 1;
      } catch (error) {
        if (!(error instanceof KvStoreError) || error.retry !== 'again') throw error;
        unknown += 1;
        await pause(20);
      }
    };
    await using raising = again(() => Promise.all([raise(), raise(), raise()]));
    await eventually(() => steps > 20);
    const bringBack = await context.disturbance('killLeader')();
    const before = steps;
    await eventually(() => steps > before + 20);
    await bringBack();
    await raising.stop();
    const count = Number(text((await until(() => context.store.get(key)))?.value));
    expect(count).toBeGreaterThanOrEqual(steps);
    expect(count).toBeLessThanOrEqual(steps + unknown);
  });

  owes('F7', 'revisions go on across a change of leaders', async () => {
    const key = `${context.prefix()}a`;
    const before = await insist(context.store, key, 'before');
    const { storeId } = context.store.health();
    const bringBack = await context.disturbance('killLeader')();
    const during = await insist(context.store, key, 'during');
    await bringBack();
    await context.settled();
    const after = await insist(context.store, key, 'after');
    expect(during).toBeGreaterThan(before);
    expect(after).toBeGreaterThan(during);
    expect(context.store.health().storeId).toBe(storeId);
  });
}

/** The call, until it passes; what is of unknown fate is simply tried again. */
async function until<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof KvStoreError) || error.retry !== 'again') throw error;
      await pause(50);
    }
  }
}

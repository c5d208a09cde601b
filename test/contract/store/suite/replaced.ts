import { expect } from '@jest/globals';
import type { Owes } from './cases.ts';
import { type StoreContext, digits, insist, text } from './context.ts';
import { Follower } from './follower.ts';
import { eventually } from './waiting.ts';

/** A store that was wiped: what answers is another one, possibly under the same name and with the same numbers. */
export function wipeCases(context: StoreContext, owes: Owes): void {
  owes('F5', 'a watch of a store that was wiped keeps what it knows until it has seen all of the new one', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 50);
    await using follower = await new Follower(context.store, prefix).whenSynced();
    await wiped(context);
    await context.store.put(`${prefix}new`, 'x');
    await follower.holds(new Map([[`${prefix}new`, 'x']]));
    const again = follower.batches.findIndex((batch) => batch.type === 'restart' && batch.reason === 'store-replaced');
    expect(again).toBeGreaterThan(0);
    // No deletion came: the old keys went when the new listing was complete.
    expect(follower.live.every(({ type }) => type === 'put')).toBe(true);
    expect(follower.marks.filter((mark) => mark !== 'synced')).toContain('store-replaced');
    await context.store.put(`${prefix}later`, 'x');
    await eventually(() => follower.state.has(`${prefix}later`));
  });

  owes('F5', 'a watch hears of a store that was wiped and filled beyond the revision it knew', async () => {
    const prefix = context.prefix();
    for (let i = 0; i < 5; i++) await context.store.put(prefix + digits(i), 'old');
    await using follower = await new Follower(context.store, prefix).whenSynced();
    await wiped(context);
    for (let i = 3; i < 60; i++) await insist(context.store, prefix + digits(i), 'new');
    await follower.holds(await context.contents(prefix));
    expect(follower.marks).toContain('store-replaced');
    expect([...follower.state.values()].every((value) => value === 'new')).toBe(true);
  });

  owes('F5', 'the lease of a store that was wiped is lost, and its owner is told', async () => {
    const lease = await context.store.grantLease({ ttlSeconds: 4 });
    await context.store.put(`${context.prefix()}a`, 'x', { lease: lease.id });
    await wiped(context);
    await eventually(() => lease.lost.aborted);
    await lease[Symbol.asyncDispose]();
  });

  owes('F5', 'a fence of a store that was wiped does not hold in the new one', async () => {
    const prefix = context.prefix();
    const lock = await context.store.lock(`${prefix}lock`);
    await wiped(context);
    const write = { when: [lock.fence()], then: [{ type: 'put', key: `${prefix}a`, value: 'x' } as const] };
    const { succeeded } = await context.store.transact(write);
    expect(succeeded).toBe(false);
    expect(await context.store.get(`${prefix}a`)).toBeUndefined();
    await lock.release();
  });
}

/** A store that was put back to an earlier copy of itself: its history went another way. */
export function backupCases(context: StoreContext, owes: Owes): void {
  owes('F6', 'a watch of a store that was put back to an earlier copy ends with what the copy holds', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 20);
    await context.store.put(`${prefix}changed`, 'saved');
    const restore = await context.disturbance('backup')();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    await context.store.delete(prefix + digits(4));
    await context.store.put(`${prefix}changed`, 'later');
    await context.store.put(`${prefix}added`, 'later');
    await eventually(() => follower.state.has(`${prefix}added`) && !follower.state.has(prefix + digits(4)));
    await restore();
    await context.settled();
    const saved = await context.contents(prefix);
    expect(saved.size).toBe(21);
    expect(saved.get(`${prefix}changed`)).toBe('saved');
    await follower.holds(saved);
    await insist(context.store, `${prefix}after`, 'x');
    await follower.holds(await context.contents(prefix));
  });

  owes('F6', 'a watch hears of a store that was put back and then written beyond the revision it knew', async () => {
    const prefix = context.prefix();
    await context.store.put(`${prefix}a`, 'saved');
    const restore = await context.disturbance('backup')();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    for (let i = 0; i < 5; i++) await context.store.put(`${prefix}lost${i}`, 'x');
    await eventually(() => follower.state.size === 6);
    await restore();
    await context.settled();
    for (let i = 0; i < 40; i++) await insist(context.store, `${prefix}new${i}`, 'x');
    await follower.holds(await context.contents(prefix));
    expect(follower.state.size).toBe(41);
  });

  owes('F6', 'what was acknowledged before the copy was made is in it, with its revisions or newer ones', async () => {
    const prefix = context.prefix();
    await context.store.put(`${prefix}a`, 'one');
    const { revision } = await context.store.put(`${prefix}a`, 'two');
    const restore = await context.disturbance('backup')();
    await context.store.put(`${prefix}a`, 'three');
    await restore();
    await context.settled();
    const entry = await context.store.get(`${prefix}a`);
    expect(text(entry?.value)).toBe('two');
    expect(entry?.modRevision).toBeGreaterThanOrEqual(revision);
    expect((await context.store.put(`${prefix}a`, 'four')).revision).toBeGreaterThan(entry?.modRevision ?? Infinity);
  });
}

/** A write must not be repeated by a client, so it would fail on the old connection: a read finds the new one. */
async function wiped(context: StoreContext): Promise<void> {
  await context.disturbance('wipe')();
  await context.settled();
}

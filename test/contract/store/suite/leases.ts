import { expect } from '@jest/globals';
import { LeaseNotFoundError } from '../../../../kvstore/index.ts';
import type { Owes } from './cases.ts';
import type { StoreContext } from './context.ts';
import { Follower } from './follower.ts';
import { eventually } from './waiting.ts';

/** Leases: what binds keys to the life of their owner. */
export function leaseCases(context: StoreContext, owes: Owes): void {
  owes('E1', 'a key shows the lease that it was put with', async () => {
    const key = `${context.prefix()}a`;
    await using lease = await context.store.grantLease({ ttlSeconds: 30 });
    expect(lease.id).not.toBe(0n);
    expect(lease.ttlSeconds).toBe(30);
    await context.store.put(key, 'x', { lease: lease.id });
    expect((await context.store.get(key))?.lease).toBe(lease.id);
    await lease.revoke();
  });

  owes('E2', 'a time to live is rounded up to whole seconds', async () => {
    const lease = await context.store.grantLease({ ttlSeconds: 29.2 });
    expect(lease.ttlSeconds).toBe(30);
    await lease.revoke();
  });

  owes('E3', 'revoking deletes the keys of the lease, and no other, in one revision', async () => {
    const prefix = context.prefix();
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    for (const name of ['a', 'b', 'c']) await context.store.put(prefix + name, 'x', { lease: lease.id });
    const { revision } = await context.store.put(`${prefix}other`, 'x');
    await lease.revoke();
    expect(await context.revision()).toEqual(context.next(revision));
    expect(await context.store.get(`${prefix}a`)).toBeUndefined();
    expect(await context.store.get(`${prefix}c`)).toBeUndefined();
    expect(await context.store.get(`${prefix}other`)).toBeDefined();
  });

  owes('E3', 'revoking a lease without keys makes no revision, and may be repeated', async () => {
    const before = await context.revision();
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await lease.revoke();
    await lease.revoke();
    expect(await context.revision()).toBe(before);
  });

  owes('E1', 'a put without lease detaches the key', async () => {
    const key = `${context.prefix()}a`;
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await context.store.put(key, 'leased', { lease: lease.id });
    await context.store.put(key, 'free');
    await lease.revoke();
    expect(await context.store.get(key)).toMatchObject({ lease: 0n, version: 2 });
  });

  owes('E1', 'a put under another lease moves the key to it', async () => {
    const key = `${context.prefix()}a`;
    const first = await context.store.grantLease({ ttlSeconds: 30 });
    const second = await context.store.grantLease({ ttlSeconds: 30 });
    await context.store.put(key, 'x', { lease: first.id });
    await context.store.put(key, 'x', { lease: second.id });
    await first.revoke();
    expect((await context.store.get(key))?.lease).toBe(second.id);
    await second.revoke();
    expect(await context.store.get(key)).toBeUndefined();
  });

  owes('E1', 'a key that was deleted and put again without lease outlives the old lease', async () => {
    const key = `${context.prefix()}a`;
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await context.store.put(key, 'x', { lease: lease.id });
    await context.store.delete(key);
    await context.store.put(key, 'y');
    await lease.revoke();
    expect(await context.store.get(key)).toBeDefined();
  });

  owes('E1', 'a put in a transaction may carry a lease', async () => {
    const key = `${context.prefix()}a`;
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await context.store.transact({ when: [], then: [{ type: 'put', key, value: 'x', lease: lease.id }] });
    await lease.revoke();
    expect(await context.store.get(key)).toBeUndefined();
  });

  owes('E4', 'an unknown lease is refused', async () => {
    const key = `${context.prefix()}a`;
    await expect(context.store.put(key, 'x', { lease: 123_456n })).rejects.toThrow(LeaseNotFoundError);
    expect(await context.store.get(key)).toBeUndefined();
  });

  owes('E4', 'a revoked lease takes no more keys', async () => {
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await lease.revoke();
    const putting = context.store.put(`${context.prefix()}a`, 'x', { lease: lease.id });
    await expect(putting).rejects.toThrow(LeaseNotFoundError);
  });

  owes('E3', 'watchers see the end of a lease as deletions of one revision', async () => {
    const prefix = context.prefix();
    await using follower = new Follower(context.store, prefix);
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    const names = ['a', 'b', 'c'];
    for (const name of names.toReversed()) await context.store.put(prefix + name, 'x', { lease: lease.id });
    await follower.whenSynced();
    // What nobody has seen come need not be seen to go, where not every event is promised.
    await follower.holds(new Map(names.map((name) => [prefix + name, 'x'])));
    await lease.revoke();
    await eventually(() => follower.live.filter((event) => event.type === 'delete').length === 3);
    const deletions = follower.live.filter((event) => event.type === 'delete');
    expect(deletions.map((event) => event.key)).toEqual(names.map((name) => prefix + name));
    expect(new Set(deletions.map((event) => event.revision)).size).toBe(1);
  });

  owes('E6', 'who revokes a lease is told, who disposes of one is not', async () => {
    const revoked = await context.store.grantLease({ ttlSeconds: 30 });
    await revoked.revoke();
    expect(revoked.lost.aborted).toBe(true);
    expect(revoked.lost.reason).toBeInstanceOf(LeaseNotFoundError);
    const disposed = await context.store.grantLease({ ttlSeconds: 30 });
    await disposed[Symbol.asyncDispose]();
    expect(disposed.lost.aborted).toBe(false);
    await disposed.revoke();
    expect(disposed.lost.aborted).toBe(true);
  });

  owes('E8', 'disposing of a lease twice, or after revoking it, is harmless', async () => {
    const key = `${context.prefix()}a`;
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await context.store.put(key, 'x', { lease: lease.id });
    await lease[Symbol.asyncDispose]();
    await lease[Symbol.asyncDispose]();
    expect(await context.store.get(key)).toBeDefined();
    await lease.revoke();
    await lease[Symbol.asyncDispose]();
    expect(await context.store.get(key)).toBeUndefined();
  });

  owes('E8', 'two who revoke a lease at the same time both come to the end of it', async () => {
    const key = `${context.prefix()}a`;
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await context.store.put(key, 'x', { lease: lease.id });
    await Promise.all([lease.revoke(), lease.revoke(), context.opened.revokeLease(lease.id).catch(() => undefined)]);
    expect(await context.store.get(key)).toBeUndefined();
    expect(lease.lost.aborted).toBe(true);
  });

  owes('E3', 'two writers may share a lease: the keys of both go with it', async () => {
    const prefix = context.prefix();
    await using other = await context.another();
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await context.store.put(`${prefix}mine`, 'x', { lease: lease.id });
    await other.put(`${prefix}theirs`, 'x', { lease: lease.id });
    expect((await context.store.get(`${prefix}theirs`))?.lease).toBe(lease.id);
    await lease.revoke();
    expect(await context.entries(prefix)).toEqual([]);
  });

  owes('E3', 'a lease of 300 keys takes them all with it, in one revision', async () => {
    const prefix = context.prefix();
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    for (let from = 0; from < 300; from += 100)
      await context.store.transact({
        when: [],
        then: Array.from({ length: 100 }, (_, i) => ({
          type: 'put',
          key: `${prefix}${from + i}`,
          value: 'x',
          lease: lease.id,
        })),
      });
    await using follower = await new Follower(context.store, prefix).whenSynced();
    expect(follower.state.size).toBe(300);
    await lease.revoke();
    await follower.holds(new Map());
    expect(new Set(follower.live.map((event) => event.revision)).size).toBe(1);
    expect(follower.live.every((event) => event.type === 'delete')).toBe(true);
  });

  owes('E2', 'leases have different ids', async () => {
    const leases = await Promise.all(Array.from({ length: 10 }, () => context.store.grantLease({ ttlSeconds: 30 })));
    expect(new Set(leases.map((lease) => lease.id)).size).toBe(10);
    await Promise.all(leases.map((lease) => lease.revoke()));
  });
}

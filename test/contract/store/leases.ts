import { expect, test } from '@jest/globals';
import { LeaseNotFoundError } from '../../../kvstore/index.ts';
import { Follower, type StoreContext, eventually, pause } from './fixture.ts';

/** Leases: what binds keys to the life of their owner. */
export function leaseTests(context: StoreContext): void {
  test('a key shows the lease that it was put with', async () => {
    const key = `${context.prefix()}a`;
    await using lease = await context.store.grantLease({ ttlSeconds: 30 });
    expect(lease.id).not.toBe(0n);
    expect(lease.ttlSeconds).toBe(30);
    await context.store.put(key, 'x', { lease: lease.id });
    expect((await context.store.get(key))?.lease).toBe(lease.id);
    await lease.revoke();
  });

  test('a time to live is rounded up to whole seconds', async () => {
    const lease = await context.store.grantLease({ ttlSeconds: 29.2 });
    expect(lease.ttlSeconds).toBe(30);
    await lease.revoke();
  });

  test('revoking deletes the keys of the lease, and no other, in one revision', async () => {
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

  test('revoking a lease without keys makes no revision, and may be repeated', async () => {
    const before = await context.revision();
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await lease.revoke();
    await lease.revoke();
    expect(await context.revision()).toBe(before);
  });

  test('a put without lease detaches the key', async () => {
    const key = `${context.prefix()}a`;
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await context.store.put(key, 'leased', { lease: lease.id });
    await context.store.put(key, 'free');
    await lease.revoke();
    expect(await context.store.get(key)).toMatchObject({ lease: 0n, version: 2 });
  });

  test('a put under another lease moves the key to it', async () => {
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

  test('a key that was deleted and put again without lease outlives the old lease', async () => {
    const key = `${context.prefix()}a`;
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await context.store.put(key, 'x', { lease: lease.id });
    await context.store.delete(key);
    await context.store.put(key, 'y');
    await lease.revoke();
    expect(await context.store.get(key)).toBeDefined();
  });

  test('a put in a transaction may carry a lease', async () => {
    const key = `${context.prefix()}a`;
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await context.store.transact({ when: [], then: [{ type: 'put', key, value: 'x', lease: lease.id }] });
    await lease.revoke();
    expect(await context.store.get(key)).toBeUndefined();
  });

  test('an unknown lease is refused', async () => {
    const key = `${context.prefix()}a`;
    await expect(context.store.put(key, 'x', { lease: 123_456n })).rejects.toThrow(LeaseNotFoundError);
    expect(await context.store.get(key)).toBeUndefined();
  });

  test('a revoked lease takes no more keys', async () => {
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await lease.revoke();
    const putting = context.store.put(`${context.prefix()}a`, 'x', { lease: lease.id });
    await expect(putting).rejects.toThrow(LeaseNotFoundError);
  });

  test('a lease keeps itself alive beyond its time', async () => {
    const key = `${context.prefix()}a`;
    await using lease = await context.store.grantLease({ ttlSeconds: 2 });
    await context.store.put(key, 'x', { lease: lease.id });
    await pause(lease.ttlSeconds * 1000 * 2);
    expect(await context.store.get(key)).toBeDefined();
    expect(lease.lost.aborted).toBe(false);
    await lease.revoke();
  });

  test('disposing of a lease withdraws nothing; its keys go when its time has run out', async () => {
    const key = `${context.prefix()}a`;
    const lease = await context.store.grantLease({ ttlSeconds: 2 });
    await context.store.put(key, 'x', { lease: lease.id });
    await lease[Symbol.asyncDispose]();
    expect(await context.store.get(key)).toBeDefined();
    const disposed = performance.now();
    // A store may let twice the time pass.
    const mostMs = Math.max(20_000, lease.ttlSeconds * 4000);
    await eventually(async () => (await context.store.get(key)) === undefined, mostMs);
    // The last renewal was the grant itself or came before the disposal, so half the time must have passed for certain.
    expect(performance.now() - disposed).toBeGreaterThan(1000);
  });

  test('watchers see the end of a lease as deletions of one revision', async () => {
    const prefix = context.prefix();
    await using follower = new Follower(context.store, prefix);
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    for (const name of ['c', 'a', 'b']) await context.store.put(prefix + name, 'x', { lease: lease.id });
    await follower.whenSynced();
    await lease.revoke();
    await eventually(() => follower.live.filter((event) => event.type === 'delete').length === 3);
    const deletions = follower.live.filter((event) => event.type === 'delete');
    expect(deletions.map((event) => event.key)).toEqual(['a', 'b', 'c'].map((name) => prefix + name));
    expect(new Set(deletions.map((event) => event.revision)).size).toBe(1);
  });

  test('the owner is told when somebody ends its lease', async () => {
    const lease = await context.store.grantLease({ ttlSeconds: 2 });
    expect(lease.lost.aborted).toBe(false);
    await context.opened.revokeLease(lease.id);
    await eventually(() => lease.lost.aborted);
    await lease[Symbol.asyncDispose]();
  });

  test('leases have different ids', async () => {
    const leases = await Promise.all(Array.from({ length: 10 }, () => context.store.grantLease({ ttlSeconds: 30 })));
    expect(new Set(leases.map((lease) => lease.id)).size).toBe(10);
    await Promise.all(leases.map((lease) => lease.revoke()));
  });
}

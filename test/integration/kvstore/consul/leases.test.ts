import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type ConsulStore, InvalidRequestError, type KeyValue, SyncStore, toText } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { type ConsulProcess, startConsul } from '../../../support/consul.ts';
import { needs } from '../../../support/probe.ts';
import { Mirror } from '../etcd/mirror.ts';
import { clientOf } from './support.ts';

jest.setTimeout(60_000);

needs('consul')('Leases on Consul', () => {
  let server: ConsulProcess;
  let store: ConsulStore;
  beforeAll(async () => {
    server = await startConsul();
    store = clientOf(server);
  }, 600_000);
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const all = async (prefix: string): Promise<KeyValue[]> => {
    const found: KeyValue[] = [];
    for await (const page of store.list(prefix)) found.push(...page.entries);
    return found;
  };

  test('128 keys of an earlier life move to another lease in one transaction, none of them gone in between', async () => {
    const keys = Array.from({ length: 128 }, (_, i) => `moved/${i}`);
    const earlier = await store.grantLease({ ttlSeconds: 30 });
    const later = await store.grantLease({ ttlSeconds: 30 });
    const puts = (value: string, lease: bigint) => ({
      when: [],
      then: keys.map((key) => ({ type: 'put', key, value, lease }) as const),
    });
    await store.transact(puts('earlier', earlier.id));
    await using mirror = new Mirror(store, 'moved/', { order: 'key' });
    await mirror.until(() => mirror.watch.synced);
    const { revision } = await store.transact(puts('later', later.id));
    await earlier.revoke();
    const entries = await all('moved/');
    expect(entries).toHaveLength(128);
    expect(entries.every((entry) => entry.lease === later.id && entry.modRevision === revision)).toBe(true);
    await mirror.agreesWith(store, 'moved/');
    expect(mirror.watch.counts.removes).toBe(0);
    await later.revoke();
    expect(await all('moved/')).toEqual([]);
  });

  test('keys under a condition on their revision are not let go of their lease beforehand: too many are refused', async () => {
    const keys = Array.from({ length: 60 }, (_, i) => `guarded/${i}`);
    const earlier = await store.grantLease({ ttlSeconds: 30 });
    await using later = await store.grantLease({ ttlSeconds: 30 });
    const puts = (lease: bigint) => keys.map((key) => ({ type: 'put', key, value: 'x', lease }) as const);
    const { revision } = await store.transact({ when: [], then: puts(earlier.id) });
    const guarded = (count: number) => ({
      when: keys.slice(0, count).map((key) => ({ key, target: 'mod', result: 'equal', value: revision }) as const),
      then: puts(later.id).slice(0, count),
    });
    await expect(store.transact(guarded(60))).rejects.toThrow(InvalidRequestError);
    expect((await all('guarded/')).every(({ lease }) => lease === earlier.id)).toBe(true);
    expect(await store.transact(guarded(42))).toMatchObject({ succeeded: true });
    await earlier.revoke();
    expect(await all('guarded/')).toHaveLength(42);
  });

  test('a put without lease frees a key from its lease for good', async () => {
    const lease = await store.grantLease({ ttlSeconds: 10 });
    await store.put('freed', 'leased', { lease: lease.id });
    await store.transact({
      when: [{ key: 'freed', target: 'value', result: 'equal', value: 'leased' }],
      then: [{ type: 'put', key: 'freed', value: 'free' }],
    });
    await lease.revoke();
    expect(await store.get('freed')).toMatchObject({ lease: 0n });
  });

  test('a large value moves between leases, too', async () => {
    const value = Buffer.alloc(450_000, 'v');
    const [first, second] = [await store.grantLease({ ttlSeconds: 10 }), await store.grantLease({ ttlSeconds: 10 })];
    await store.put('large', value, { lease: first.id });
    const { revision } = await store.put('large', value, { lease: second.id });
    expect(await store.get('large')).toMatchObject({ lease: second.id, modRevision: revision });
    await store.put('large', value);
    await first.revoke();
    await second.revoke();
    expect((await store.get('large'))?.value).toHaveLength(450_000);
  });

  test('a fence holds against whoever ends the session behind the back of the owner', async () => {
    const lock = await store.lock('guarded/lock');
    const entry = await store.get(lock.key);
    const hex = (entry?.lease ?? 0n).toString(16).padStart(32, '0');
    const session = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    await server.call('PUT', `/v1/session/destroy/${session}`);
    const write = { when: [lock.fence()], then: [{ type: 'put', key: 'guarded/a', value: 'x' } as const] };
    expect((await store.transact(write)).succeeded).toBe(false);
    expect(await store.get('guarded/a')).toBeUndefined();
    await lock.release();
  });

  test('a sync store publishes 1,500 keys, and its next life takes them over without a gap', async () => {
    const publish = async (value: string, owner: ConsulStore): Promise<void> => {
      const sync = new SyncStore({
        store: owner,
        leaseTtlSeconds: 30,
        clock: systemClock,
        log: silentLogger,
        scope: 'published/',
      });
      const stopping = new AbortController();
      const running = sync.run(stopping.signal);
      for (let i = 0; i < 1500; i++) sync.set(`published/${i}`, Buffer.from(`${value} ${i}`));
      await sync.synced();
      stopping.abort();
      await running;
      await sync[Symbol.asyncDispose]();
    };
    await using first = clientOf(server);
    await publish('first', first);
    await using mirror = new Mirror(store, 'published/', { order: 'key' });
    await mirror.until(() => mirror.watch.synced);
    await using second = clientOf(server);
    await publish('second', second);
    const entries = await all('published/');
    expect(entries).toHaveLength(1500);
    expect(entries.every(({ value }) => toText(value).startsWith('second'))).toBe(true);
    const byLease = Map.groupBy(entries, ({ lease }) => lease);
    expect([...byLease.values()].every((keys) => keys.length <= 1000)).toBe(true);
    await mirror.agreesWith(store, 'published/');
    expect(mirror.watch.counts.removes).toBe(0);
  });
});

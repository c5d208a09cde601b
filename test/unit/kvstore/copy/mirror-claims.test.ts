import { describe, expect, test } from '@jest/globals';
import { PermissionDeniedError, UnavailableError, copiesPrefix } from '../../../../kvstore/index.ts';
import { TwoStores, eventually, valueOf } from './two-stores.ts';

describe('whose a key in the target is, while a store is copied', () => {
  test('a second copy takes over what the first one brought, and writes it once more for that', async () => {
    await using stores = new TwoStores();
    const { a } = stores;
    await using lease = await a.grantLease({ ttlSeconds: 60 });
    await a.put('leased', '1', { lease: lease.id });
    await a.put('fixed', '1');
    await a.put('equal', '1');
    await stores.b.put('equal', '1');
    await stores.copyOnce();
    expect(await stores.copyOnce()).toMatchObject({ written: 2, kept: 0, extra: 0 });
  });

  test('a key that its owner claims in the target is neither changed nor deleted any more', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    await using before = await a.grantLease({ ttlSeconds: 60 });
    await a.put('node', 'old', { lease: before.id });
    await a.put('last', '1');
    await stores.follow();
    await using after = await b.grantLease({ ttlSeconds: 60 });
    await b.put('node', 'new', { lease: after.id });
    await a.put('node', 'older', { lease: before.id });
    await before.revoke();
    await a.put('last', '2');
    await eventually(async () => ((await valueOf(b, 'last')) === '2' ? true : undefined));
    expect(await valueOf(b, 'node')).toBe('new');
    expect((await b.get('node'))?.lease).toBe(after.id);
  });

  test('a copier that is started again leaves what owners have claimed, and takes over what the one before it wrote', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    await using before = await a.grantLease({ ttlSeconds: 60 });
    await a.put('claimed', 'same', { lease: before.id });
    await a.put('waiting', '1', { lease: before.id });
    await (
      await stores.follow()
    )();
    await using after = await b.grantLease({ ttlSeconds: 60 });
    await b.put('claimed', 'same', { lease: after.id });
    await a.put('waiting', '2', { lease: before.id });
    await stores.follow();
    expect(await valueOf(b, 'waiting')).toBe('2');
    await before.revoke();
    await eventually(async () => ((await b.get('waiting')) ? undefined : true));
    expect(await valueOf(b, 'claimed')).toBe('same');
  });

  test('a copier that is started again follows what the one before it brought without lease, and nothing else', async () => {
    await using stores = new TwoStores();
    const { a, b, engines } = stores;
    for (const key of ['changes', 'goes', 'stays', 'claimed', 'claimed and gone']) await a.put(key, '1');
    await (
      await stores.follow()
    )();
    await b.put('claimed', 'by its owner');
    await b.put('claimed and gone', '1');
    await a.put('changes', '2');
    await a.put('claimed', '2');
    for (const key of ['goes', 'claimed and gone']) await a.delete(key);
    // Twice, since the second one takes over what the first one said as well.
    expect(await stores.copyOnce()).toMatchObject({ written: 2, deleted: 1, kept: 1, extra: 1 });
    await a.put('changes', '3');
    await a.delete('stays');
    expect(await stores.copyOnce()).toMatchObject({ written: 1, deleted: 1, kept: 1, extra: 1 });
    expect(await stores.differences(0)).toEqual(['different claimed', 'only-in-b claimed and gone']);
    // Once the leases of all copiers are over, nobody knows any more whose it was.
    for (const id of await engines[1].leases()) await engines[1].leaseRevoke(id);
    await a.put('changes', '4');
    expect(await stores.copyOnce()).toMatchObject({ written: 0, kept: 2, extra: 1 });
  });

  test('knows every one of many keys that were brought side by side', async () => {
    await using stores = new TwoStores();
    const { a } = stores;
    const keys = 2000;
    for (let i = 0; i < keys; i++) await a.put(`k/${i}`, '1');
    expect(await stores.copyOnce()).toMatchObject({ written: keys });
    for (let i = 0; i < keys; i += 2) await a.put(`k/${i}`, '2');
    expect(await stores.copyOnce()).toMatchObject({ written: keys, kept: 0 });
    for (let i = 0; i < keys; i += 3) await a.delete(`k/${i}`);
    expect(await stores.copyOnce()).toMatchObject({ extra: 0, deleted: Math.ceil(keys / 3) });
    expect(await stores.differences(0)).toEqual([]);
  });

  test('what says which keys were brought is no larger than they are, and goes with the copier', async () => {
    await using stores = new TwoStores();
    const { a, b, engines } = stores;
    for (let i = 0; i < 50; i++) await a.put(`k/${i}`, '1');
    const stop = await stores.follow();
    for (let i = 0; i < 300; i++) await a.put(`k/${i % 3}`, `${i}`);
    expect(await stores.differences()).toEqual([]);
    const records = async (): Promise<number> => {
      let count = 0;
      for await (const { entries } of b.list(copiesPrefix)) count += entries.length;
      return count;
    };
    expect(await records()).toBeLessThan(12);
    await stop();
    for (const id of await engines[1].leases()) await engines[1].leaseRevoke(id);
    expect(await records()).toBe(0);
    expect(await stores.differences(0)).toEqual([]);
  });

  test('who may write the keys alone copies them, and leaves no lease behind', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    await a.put('k', '1');
    const to = {
      list: (...args: Parameters<typeof b.list>) => b.list(...args),
      transact: (...args: Parameters<typeof b.transact>) => b.transact(...args),
      grantLease: (...args: Parameters<typeof b.grantLease>) => b.grantLease(...args),
      put: () => Promise.reject(new PermissionDeniedError('put')),
    };
    expect(await stores.copyOnce({ to })).toMatchObject({ written: 1, kept: 0 });
    expect(await stores.copyOnce({ to })).toMatchObject({ written: 0, kept: 0 });
    expect(await stores.differences(0)).toEqual([]);
  });

  test('what others wrote into the target before stays, and is counted', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    await a.put('both', 'a');
    await b.put('both', 'b');
    await b.put('more', 'b');
    expect(await stores.copyOnce()).toMatchObject({ written: 0, deleted: 0, kept: 1, extra: 1 });
    expect(await stores.differences(0)).toEqual(['different both', 'only-in-b more']);
    expect(await stores.copyOnce({ overwrite: true })).toMatchObject({ written: 1, deleted: 1, kept: 0, extra: 0 });
    expect(await stores.differences(0)).toEqual([]);
  });

  test.each(['with records', 'without records'] as const)(
    'what an owner claims while a write of ours is in doubt stays, what was written then is followed (%s)',
    async (how) => {
      await using stores = new TwoStores();
      const { a, b } = stores;
      await using lease = await a.grantLease({ ttlSeconds: 60 });
      await a.put('claimed', '1');
      await a.put('leased', '1', { lease: lease.id });
      let away: 'no' | 'before' | 'after' = 'no';
      await stores.follow({
        to: {
          list: (...args) => b.list(...args),
          put: (...args) =>
            how === 'with records' ? b.put(...args) : Promise.reject(new PermissionDeniedError('put')),
          grantLease: (...args) =>
            how === 'with records' ? b.grantLease(...args) : Promise.reject(new PermissionDeniedError('grantLease')),
          transact: async (...args) => {
            if (away === 'no') return b.transact(...args);
            if (away === 'after') await b.transact(...args);
            else for (const key of ['claimed', 'leased']) await b.put(key, 'its owner’s');
            away = 'no';
            throw new UnavailableError('The connection was lost');
          },
        },
        ...(how === 'without records' ? { prefix: 'claimed' } : {}),
      });
      const keys = how === 'with records' ? ['claimed', 'leased'] : ['claimed'];
      away = 'before';
      await a.transact({
        when: [],
        then: keys.map((key) => ({
          type: 'put',
          key,
          value: '2',
          ...(key === 'leased' ? { lease: lease.id } : {}),
        })),
      });
      await eventually(async () => (away === 'no' ? true : undefined));
      // Comes behind what is listed anew.
      await a.put('claimed last', '1');
      await eventually(() => b.get('claimed last'));
      for (const key of keys) expect(await valueOf(b, key)).toBe('its owner’s');
      away = 'after';
      await a.put('claimed last', '2');
      await eventually(async () => (away === 'no' ? true : undefined));
      await a.put('claimed last', '3');
      await eventually(async () => ((await valueOf(b, 'claimed last')) === '3' ? true : undefined));
    },
  );

  test('records of copiers are neither copied nor compared', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    await a.put(`${copiesPrefix}1`, 'x');
    await using lease = await a.grantLease({ ttlSeconds: 60 });
    await a.put('k', '1', { lease: lease.id });
    await stores.copyOnce();
    expect(await b.get(`${copiesPrefix}1`)).toBeUndefined();
    expect(await stores.differences(0)).toEqual([]);
  });
});

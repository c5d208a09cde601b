import { describe, expect, test } from '@jest/globals';
import { InvalidRequestError, type MirrorProgress, type Operation } from '../../../../kvstore/index.ts';
import { TwoStores, eventually, valueOf } from './two-stores.ts';

describe('copying a store', () => {
  test('brings every key, with leases where the source has them', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    await using lease = await a.grantLease({ ttlSeconds: 60 });
    for (let i = 0; i < 150; i++) await a.put(`k/${i}`, `v${i}`, i % 2 === 0 ? { lease: lease.id } : {});
    await a.put(new Uint8Array([0, 0xff]), new Uint8Array([0xfe]));
    expect(await stores.copyOnce()).toMatchObject({ phase: 'following', listed: 151, written: 151, kept: 0, extra: 0 });
    expect(await stores.differences(0)).toEqual([]);
    expect((await b.get('k/0'))?.lease).not.toBe(0n);
    expect((await b.get('k/1'))?.lease).toBe(0n);
  });

  test('follows puts and deletes', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    await a.put('stays', '1');
    await a.put('goes', '1');
    const stop = await stores.follow();
    await a.put('stays', '2');
    await a.put('comes', '1');
    await a.delete('goes');
    expect(await stores.differences()).toEqual([]);
    expect(await valueOf(b, 'stays')).toBe('2');
    expect(await stop()).toMatchObject({ phase: 'following', deleted: 1 });
  });

  test('a key that the target refuses counts once, and no more when the source has what it takes, or nothing', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    const isTooLarge = (operation: Operation): boolean =>
      operation.type === 'put' && operation.value instanceof Uint8Array && operation.value.length > 10;
    await a.put('shrinks', 'more than it takes');
    await a.put('goes', 'more than it takes');
    const seen: MirrorProgress[] = [];
    const stop = await stores.follow({
      to: {
        list: (...args) => b.list(...args),
        put: (...args) => b.put(...args),
        grantLease: (...args) => b.grantLease(...args),
        transact: async (transaction, options) => {
          if (transaction.then.some(isTooLarge)) throw new InvalidRequestError('too large');
          return await b.transact(transaction, options);
        },
      },
      onProgress: (progress) => seen.push(progress),
    });
    expect(seen.at(-1)?.refused).toBe(2);
    for (let i = 0; i < 3; i++) await a.put('shrinks', `again more than it takes ${i}`);
    await a.put('mark', '1');
    await eventually(() => valueOf(b, 'mark'));
    expect(seen.at(-1)?.refused).toBe(2);
    await a.put('shrinks', 'less');
    await a.delete('goes');
    await a.put('mark', '2');
    expect(await stores.differences()).toEqual([]);
    expect(await stop()).toMatchObject({ phase: 'following', kept: 0, extra: 0, refused: 0 });
  });

  test('locks stay in their store: they are not brought, and those of the target are not touched', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    await using inA = await a.lock('cilium/lock');
    await using inB = await b.lock('cilium/lock');
    await a.put('cilium/state/1', '1');
    expect(await stores.copyOnce({ overwrite: true })).toMatchObject({ listed: 1, written: 1, extra: 0, deleted: 0 });
    expect([await b.get(inA.key), (await b.get(inB.key))?.createRevision]).toEqual([undefined, inB.createRevision]);
    expect(await stores.differences(0)).toEqual([]);
    const stop = await stores.follow();
    await inA.release();
    await using next = await a.lock('cilium/lock');
    await a.put('cilium/state/1', '2');
    expect(await stores.differences()).toEqual([]);
    await stop();
    expect([await b.get(next.key), inB.lost.aborted]).toEqual([undefined, false]);
  });

  test('copies a prefix and leaves the rest alone', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    await a.put('in/1', '1');
    await a.put('out/1', '1');
    await b.put('out/2', '1');
    expect(await stores.copyOnce({ prefix: 'in/' })).toMatchObject({ listed: 1, written: 1, extra: 0 });
    expect(await stores.differences(0)).toEqual(['only-in-a out/1', 'only-in-b out/2']);
  });

  test('while both sides are written at random, the target ends as the source', async () => {
    await using stores = new TwoStores();
    const { a } = stores;
    await using lease = await a.grantLease({ ttlSeconds: 60 });
    for (let i = 0; i < 50; i++) await a.put(`k/${i}`, 'first', { lease: lease.id });
    const writing = (async () => {
      for (let i = 0; i < 400; i++) {
        const key = `k/${(i * 7) % 60}`;
        if (i % 5 === 0) await a.delete(key);
        else await a.put(key, `v${i}`, i % 2 === 0 ? { lease: lease.id } : {});
      }
    })();
    await stores.follow();
    await writing;
    expect(await stores.differences()).toEqual([]);
  });
});

import { describe, expect, test } from '@jest/globals';
import { type SyncableStore, NoSpaceError, UnavailableError } from '../../../../kvstore/index.ts';
import { randomFrom } from '../random.ts';
import { Rig, watched } from './support.ts';

describe('a sync store', () => {
  test('writes what is set, under a lease, and says when all of it is stored', async () => {
    await using rig = new Rig();
    const sync = rig.sync();
    sync.set('a', '1');
    sync.set('b', '2');
    rig.run(sync);
    await sync.synced();
    expect(await rig.contents()).toEqual({ a: '1', b: '2' });
    const [lease] = await rig.engine.leases();
    expect((await rig.store.get('a'))?.lease).toBe(lease);
  });

  test('writes many keys in transactions of at most 120, one at a time', async () => {
    await using rig = new Rig();
    let inFlight = 0;
    const sizes: number[] = [];
    const sync = rig.sync({
      store: {
        ...watched(rig.store, () => undefined),
        transact: async (transaction, options) => {
          sizes.push(transaction.then.length);
          expect(++inFlight).toBe(1);
          const result = await rig.store.transact(transaction, options);
          inFlight -= 1;
          return result;
        },
      },
    });
    for (let i = 0; i < 300; i++) sync.set(`k${i}`, 'v');
    rig.run(sync);
    await sync.synced();
    expect(sizes).toEqual([120, 120, 60]);
  });

  test('keeps a transaction below 1 MiB', async () => {
    await using rig = new Rig();
    const sizes: number[] = [];
    const sync = rig.sync({ store: watched(rig.store, ({ then }) => sizes.push(then.length)) });
    for (let i = 0; i < 5; i++) sync.set(`k${i}`, new Uint8Array(400_000));
    rig.run(sync);
    await sync.synced();
    expect(sizes).toEqual([2, 2, 1]);
  });

  test('takes the latest value of a key that changes while it waits, and ignores an equal one', async () => {
    await using rig = new Rig();
    const sync = rig.sync();
    for (let i = 0; i < 10; i++) sync.set('a', `${i}`);
    rig.run(sync);
    await sync.synced();
    expect((await rig.store.get('a'))?.version).toBe(1);
    sync.set('a', '9');
    expect(sync.queued).toBe(0);
    await sync.synced();
    expect(await rig.contents()).toEqual({ a: '9' });
  });

  test('grants another lease after a thousand keys', async () => {
    await using rig = new Rig();
    const sync = rig.sync({ maxKeysPerLease: 10 });
    for (let i = 0; i < 25; i++) sync.set(`k${i}`, 'v');
    rig.run(sync);
    await sync.synced();
    const leases = await rig.engine.leases();
    const counts = await Promise.all(
      leases.map(async (id) => (await rig.engine.leaseTimeToLive(id, true)).keys.length),
    );
    expect(counts.toSorted((a, b) => a - b)).toEqual([5, 10, 10]);
  });

  test('deletes what it wrote, and nothing that it did not write', async () => {
    await using rig = new Rig();
    await rig.store.put('theirs', 'x');
    const sync = rig.sync();
    sync.set('ours', '1');
    rig.run(sync);
    await sync.synced();
    sync.delete('ours');
    sync.delete('theirs');
    await sync.synced();
    expect(await rig.contents()).toEqual({ theirs: 'x' });
    expect(sync.size).toBe(0);
  });

  test('leaves a key that another has written since, with whatever value', async () => {
    await using rig = new Rig();
    const sync = rig.sync();
    for (const key of ['a', 'b', 'c']) sync.set(key, 'ours');
    rig.run(sync);
    await sync.synced();
    await rig.store.put('a', 'theirs');
    await rig.store.put('b', 'ours');
    for (const key of ['a', 'b', 'c']) sync.delete(key);
    sync.set('d', 'new');
    await sync.synced();
    expect(await rig.contents()).toEqual({ a: 'theirs', b: 'ours', d: 'new' });
  });

  test('deletes a key whose write was answered by an error although it took place', async () => {
    await using rig = new Rig();
    let failing = true;
    const store = watched(
      rig.store,
      () => {
        if (!failing) return;
        failing = false;
        throw new UnavailableError('answer lost');
      },
      true,
    );
    const sync = rig.sync({ store });
    sync.set('a', '1');
    rig.run(sync);
    await rig.until(async () => (await rig.contents())['a'] === '1' && sync.queued === 1);
    sync.delete('a');
    const synced = sync.synced();
    await rig.clock.advance(100);
    await synced;
    expect(await rig.contents()).toEqual({});
  });

  test('says why nothing can be written, until it can again', async () => {
    await using rig = new Rig();
    let full = true;
    const store = watched(rig.store, () => {
      if (full) throw new NoSpaceError('database space exceeded');
    });
    const sync = rig.sync({ store });
    sync.set('a', '1');
    rig.run(sync);
    for (let i = 0; i < 10; i++) await rig.clock.advance(1000);
    expect(sync.failure).toBe('database space exceeded');
    full = false;
    for (let i = 0; i < 20; i++) await rig.clock.advance(1000);
    await sync.synced();
    expect(sync.failure).toBeUndefined();
  });

  test('withdraws all that is ours and its leases when it leaves', async () => {
    await using rig = new Rig();
    const sync = rig.sync({ maxKeysPerLease: 10 });
    for (let i = 0; i < 30; i++) sync.set(`k${i}`, 'v');
    const stop = rig.run(sync);
    await sync.synced();
    await rig.store.put('k3', 'theirs');
    await stop();
    await sync.withdraw();
    expect(await rig.contents()).toEqual({ k3: 'theirs' });
    expect(await rig.engine.leases()).toEqual([]);
  });

  test('withdraws nothing when it is disposed of', async () => {
    await using rig = new Rig();
    const sync = rig.sync();
    sync.set('a', '1');
    const stop = rig.run(sync);
    await sync.synced();
    await stop();
    await sync[Symbol.asyncDispose]();
    expect(await rig.contents()).toEqual({ a: '1' });
    await expect(sync.synced()).rejects.toThrow('closed');
    await rig.clock.advance(901_000);
    await rig.until(async () => Object.keys(await rig.contents()).length === 0);
  });

  test('waits for the wishes of the moment only', async () => {
    await using rig = new Rig();
    const sync = rig.sync();
    sync.set('a', '1');
    const controller = new AbortController();
    const first = sync.synced(controller.signal);
    const second = sync.synced();
    controller.abort(new Error('no patience'));
    await expect(first).rejects.toThrow('no patience');
    rig.run(sync);
    await second;
    await sync.synced();
  });

  test.each(Array.from({ length: 20 }, (_, seed) => seed))(
    'ends with exactly what is wished, whatever fails and whoever interferes (seed %i)',
    async (seed) => {
      const random = randomFrom(seed);
      await using rig = new Rig();
      let calm = false;
      const store: SyncableStore = {
        list: (prefix, options) => rig.store.list(prefix, options),
        grantLease: (options) => rig.store.grantLease(options),
        transact: async (transaction, options) => {
          if (!calm && random() < 0.2) throw new UnavailableError('request lost');
          const result = await rig.store.transact(transaction, options);
          if (!calm && random() < 0.2) throw new UnavailableError('answer lost');
          return result;
        },
      };
      const sync = rig.sync({ store, reassertMs: 5000, maxKeysPerLease: 5 });
      rig.run(sync);
      const wished = new Map<string, string>();
      for (let i = 0; i < 150; i++) {
        const key = `k${Math.floor(random() * 15)}`;
        const dice = random();
        if (dice < 0.5) {
          wished.set(key, `${i}`);
          sync.set(key, `${i}`);
        } else if (dice < 0.8) {
          wished.delete(key);
          sync.delete(key);
        } else if (dice < 0.85) await rig.store.delete(key);
        else if (dice < 0.9) for (const id of await rig.engine.leases()) await rig.engine.leaseRevoke(id);
        else await rig.clock.advance(random() * 400);
      }
      calm = true;
      await rig.clock.advance(400_000);
      await sync.synced();
      expect(await rig.contents()).toEqual(Object.fromEntries(wished));
    },
  );
});

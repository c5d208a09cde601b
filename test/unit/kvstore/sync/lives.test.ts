import { describe, expect, test } from '@jest/globals';
import { type SyncableStore, toText } from '../../../../kvstore/index.ts';
import { Rig } from './support.ts';

describe('what a sync store has stored, over lives and leases,', () => {
  test('takes over the keys of an earlier life without deleting them in between', async () => {
    await using rig = new Rig();
    const first = rig.sync();
    first.set('a', '1');
    const stop = rig.run(first);
    await first.synced();
    await stop();
    await first[Symbol.asyncDispose]();
    const before = await rig.store.get('a');

    const second = rig.sync();
    second.set('a', '1');
    rig.run(second);
    await second.synced();
    const after = await rig.store.get('a');
    expect(after?.createRevision).toBe(before?.createRevision);
    expect(after?.lease).not.toBe(before?.lease);
    await rig.clock.advance(1_000_000);
    expect(await rig.contents()).toEqual({ a: '1' });
  });

  test('sweeps the leftovers of an earlier life, but neither its own keys nor what is not ours', async () => {
    await using rig = new Rig();
    for (let i = 0; i < 200; i++) await rig.store.put(`p/old${i}`, 'node-1');
    await rig.store.put('p/other', 'node-2');
    await rig.store.put('q/old', 'node-1');
    const sync = rig.sync();
    sync.set('p/kept', 'node-1');
    rig.run(sync);
    await sync.synced();
    const removed = await sync.sweep('p/', (_, entry) => toText(entry.value) === 'node-1');
    expect(removed).toBe(200);
    expect(await rig.contents()).toEqual({ 'p/kept': 'node-1', 'p/other': 'node-2', 'q/old': 'node-1' });
  });

  test('sweeps around a key that changes meanwhile', async () => {
    await using rig = new Rig();
    for (const key of ['a', 'b', 'c']) await rig.store.put(key, 'old');
    let first = true;
    const store: SyncableStore = {
      list: (prefix, options) => rig.store.list(prefix, options),
      grantLease: (options) => rig.store.grantLease(options),
      transact: async (transaction, options) => {
        if (first) await rig.store.put('b', 'new');
        first = false;
        return rig.store.transact(transaction, options);
      },
    };
    expect(await rig.sync({ store }).sweep('', () => true)).toBe(2);
    expect(await rig.contents()).toEqual({ b: 'new' });
  });

  test('writes its keys again at once, under a new lease, when the lease is lost', async () => {
    await using rig = new Rig();
    const sync = rig.sync();
    sync.set('a', '1');
    sync.set('b', '2');
    rig.run(sync);
    await sync.synced();
    const [lease = 0n] = await rig.engine.leases();
    await rig.engine.leaseRevoke(lease);
    expect(await rig.contents()).toEqual({});
    // The next renewal, a third of the time to live later, says that the lease is gone.
    await rig.clock.advance(301_000);
    await sync.synced();
    expect(await rig.contents()).toEqual({ a: '1', b: '2' });
    expect(await rig.engine.leases()).not.toContain(lease);
  });

  test('notices by a write that its lease is gone, and writes the keys of that lease again', async () => {
    await using rig = new Rig();
    const sync = rig.sync();
    sync.set('a', '1');
    rig.run(sync);
    await sync.synced();
    const [lease = 0n] = await rig.engine.leases();
    await rig.engine.leaseRevoke(lease);
    sync.set('b', '2');
    const synced = sync.synced();
    await rig.clock.advance(100);
    await synced;
    await sync.synced();
    expect(await rig.contents()).toEqual({ a: '1', b: '2' });
  });

  test('keeps its keys alive far beyond the time to live', async () => {
    await using rig = new Rig();
    const sync = rig.sync({ leaseTtlSeconds: 30 });
    sync.set('a', '1');
    rig.run(sync);
    await sync.synced();
    const before = await rig.store.get('a');
    for (let i = 0; i < 20; i++) await rig.clock.advance(10_000);
    expect(await rig.store.get('a')).toEqual(before);
  });

  test('repairs what others delete or change, at the next assertion', async () => {
    await using rig = new Rig();
    const repaired: number[] = [];
    const sync = rig.sync({ reassertMs: 60_000, metrics: { repaired: (keys) => void repaired.push(keys) } });
    for (const key of ['a', 'b', 'c', 'd']) sync.set(key, 'ours');
    rig.run(sync);
    await sync.synced();
    const untouched = await rig.store.get('d');
    await rig.store.delete('a');
    await rig.store.put('b', 'theirs');
    await rig.store.put('c', 'ours');
    await rig.clock.advance(60_000);
    await rig.until(() => sync.queued === 0 && repaired.length > 0);
    await sync.synced();
    expect(await rig.contents()).toEqual({ a: 'ours', b: 'ours', c: 'ours', d: 'ours' });
    expect(repaired).toEqual([3]);
    expect(await rig.store.get('d')).toEqual(untouched);
    const [lease] = await rig.engine.leases();
    expect((await rig.store.get('c'))?.lease).toBe(lease);
  });

  test('repairs at once when it is told that the store is another one', async () => {
    await using rig = new Rig();
    const sync = rig.sync({ reassertMs: 600_000 });
    for (const key of ['a', 'b']) sync.set(key, 'ours');
    rig.run(sync);
    await sync.synced();
    for (const lease of await rig.engine.leases()) await rig.engine.leaseRevoke(lease);
    await rig.store.put('b', 'of an older copy');
    sync.reassert();
    // That its lease is gone it learns by a failure.
    await rig.until(async () => {
      await rig.clock.advance(100);
      const { a, b } = await rig.contents();
      return a === 'ours' && b === 'ours';
    });
    expect(rig.clock.monotonicMs()).toBeLessThan(60_000);
  });

  test('writes nothing at an assertion that finds all in order', async () => {
    await using rig = new Rig();
    const sync = rig.sync({ reassertMs: 60_000 });
    for (let i = 0; i < 300; i++) sync.set(`k${i}`, 'v');
    rig.run(sync);
    await sync.synced();
    const { revision } = rig.engine;
    await rig.clock.advance(180_000);
    await rig.until(() => sync.queued === 0);
    expect(rig.engine.revision).toBe(revision);
  });
});

import { describe, expect, test } from '@jest/globals';
import {
  InvalidRequestError,
  PermissionDeniedError,
  type SyncableStore,
  UnavailableError,
} from '../../../../kvstore/index.ts';
import { Rig, keysOf, watched } from './support.ts';

describe('a sync store whose store is away or refuses', () => {
  test('tries again, more and more slowly, while the store is away', async () => {
    await using rig = new Rig();
    let away = true;
    const attempts: number[] = [];
    const store = watched(rig.store, () => {
      attempts.push(rig.clock.monotonicMs());
      if (away) throw new UnavailableError('away');
    });
    const sync = rig.sync({ store });
    sync.set('a', '1');
    rig.run(sync);
    await rig.clock.advance(60_000);
    const gaps = attempts.slice(1).map((at, i) => at - (attempts[i] ?? 0));
    expect(gaps.slice(0, 4)).toEqual([37.5, 75, 150, 300]);
    expect(Math.max(...gaps)).toBe(7500);
    away = false;
    const synced = sync.synced();
    await rig.clock.advance(10_000);
    await synced;
    expect(await rig.contents()).toEqual({ a: '1' });
  });

  test('gets the rest in when the store refuses one key, and does not claim to be synced', async () => {
    await using rig = new Rig();
    let refusing = true;
    const store = watched(rig.store, (transaction) => {
      if (refusing && keysOf(transaction).includes('k7')) throw new InvalidRequestError('too large');
    });
    const sync = rig.sync({ store, reassertMs: 60_000 });
    for (let i = 0; i < 20; i++) sync.set(`k${i}`, 'v');
    rig.run(sync);
    let synced = false;
    const syncing = sync.synced().then(() => (synced = true));
    await rig.until(async () => Object.keys(await rig.contents()).length === 19);
    expect(synced).toBe(false);
    refusing = false;
    await rig.clock.advance(60_000);
    await syncing;
    expect(Object.keys(await rig.contents())).toHaveLength(20);
  });

  test('waits for all but what the store will never take, and names that until it takes another value', async () => {
    await using rig = new Rig();
    const store = watched(rig.store, ({ then }) => {
      if (then.some((operation) => operation.type === 'put' && operation.value.length > 10))
        throw new InvalidRequestError('too large');
    });
    const sync = rig.sync({ store });
    for (let i = 0; i < 20; i++) sync.set(`k${i}`, i === 7 ? 'a long value' : 'v');
    const written = sync.written();
    rig.run(sync);
    await written;
    expect(Object.keys(await rig.contents())).toHaveLength(19);
    expect([...sync.refusals]).toEqual([['k7', 'too large']]);
    sync.set('k7', 'short');
    await sync.synced();
    expect([...sync.refusals]).toEqual([]);
    sync.set('k7', 'another long value');
    await sync.written();
    expect(await rig.contents()).toMatchObject({ k7: 'short' });
    sync.delete('k7');
    await sync.synced();
    expect([...sync.refusals]).toEqual([]);
    expect(Object.keys(await rig.contents())).toHaveLength(19);
  });

  test('waits for what the store refuses for want of a right', async () => {
    await using rig = new Rig();
    let allowed = false;
    const store = watched(rig.store, (transaction) => {
      if (!allowed && keysOf(transaction).includes('k1')) throw new PermissionDeniedError('permission denied');
    });
    const sync = rig.sync({ store });
    sync.set('k1', 'v');
    sync.set('k2', 'v');
    let written = false;
    const writing = sync.written().then(() => (written = true));
    rig.run(sync);
    await rig.until(async () => Object.keys(await rig.contents()).length === 1);
    await rig.clock.advance(60_000);
    expect(written).toBe(false);
    expect([...sync.refusals]).toEqual([['k1', 'permission denied']]);
    allowed = true;
    // Well before everything is compared anyway.
    await rig.clock.advance(15_000);
    await writing;
    expect([...sync.refusals]).toEqual([]);
  });

  test('takes over what an earlier life has stored under a key whose new value the store refuses', async () => {
    await using rig = new Rig();
    const former = await rig.store.grantLease({ ttlSeconds: 60 });
    await rig.store.put('big', 'before', { lease: former.id });
    const store = watched(rig.store, ({ then }) => {
      if (then.some((operation) => operation.type === 'put' && operation.value.length > 10))
        throw new InvalidRequestError('too large');
    });
    const sync = rig.sync({ store });
    sync.set('big', 'a long value');
    rig.run(sync);
    await sync.written();
    await former.revoke();
    expect(await rig.contents()).toEqual({ big: 'before' });
    sync.delete('big');
    await sync.synced();
    expect(await rig.contents()).toEqual({});
  });

  test('what the store keeps of a key whose new value it refuses does not stay under a lease that is renewed no longer', async () => {
    await using rig = new Rig();
    const losing = new AbortController();
    const guarded = watched(rig.store, ({ then }) => {
      if (then.some((operation) => operation.type === 'put' && operation.value.length > 10))
        throw new InvalidRequestError('too large');
    });
    const store: SyncableStore = {
      ...guarded,
      grantLease: async (options) => {
        const granted = await rig.store.grantLease(options);
        return {
          id: granted.id,
          ttlSeconds: granted.ttlSeconds,
          lost: losing.signal.aborted ? granted.lost : losing.signal,
          revoke: () => granted.revoke(),
          [Symbol.asyncDispose]: () => granted[Symbol.asyncDispose](),
        };
      },
    };
    const sync = rig.sync({ store });
    sync.set('big', 'before');
    rig.run(sync);
    await sync.synced();
    sync.set('big', 'a long value');
    await sync.written();
    const held = (await rig.store.get('big'))?.lease;
    losing.abort(new Error('Nothing was heard for too long'));
    await rig.until(async () => (await rig.store.get('big'))?.lease !== held);
    expect(await rig.contents()).toEqual({ big: 'before' });
  });
});

import { describe, expect, test } from '@jest/globals';
import {
  EngineStore,
  InvalidRequestError,
  PermissionDeniedError,
  MemoryEngine,
  type Store,
  SyncStore,
  type SyncStoreOptions,
  type SyncableStore,
  type Transaction,
  UnavailableError,
  toText,
} from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { randomFrom } from '../random.ts';

/** A store in memory, sync stores over it, and a way to let things happen. */
class Rig implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly engine = new MemoryEngine({ clock: this.clock });
  readonly store: Store = new EngineStore(this.engine, { clock: this.clock, endpoint: 'memory' });
  readonly #stops: (() => Promise<void>)[] = [];

  sync(options: Partial<SyncStoreOptions> = {}): SyncStore {
    return new SyncStore({
      store: this.store,
      clock: this.clock,
      log: silentLogger,
      scope: 'test',
      leaseTtlSeconds: 900,
      random: () => 0.5,
      ...options,
    });
  }

  /** Runs it until the answer is called. */
  run(sync: SyncStore): () => Promise<void> {
    const controller = new AbortController();
    const running = sync.run(controller.signal);
    const stop = async (): Promise<void> => {
      controller.abort();
      await running;
    };
    this.#stops.push(stop);
    return stop;
  }

  async contents(): Promise<Record<string, string>> {
    const result: Record<string, string> = {};
    for await (const page of this.store.list(''))
      for (const { key, value } of page.entries) result[toText(key)] = toText(value);
    return result;
  }

  async until(check: () => boolean | Promise<boolean>): Promise<void> {
    for (let i = 0; i < 2000; i++) {
      if (await check()) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error(`Never so: ${check.toString()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stop of this.#stops) await stop();
    await this.store[Symbol.asyncDispose]();
    await this.engine[Symbol.asyncDispose]();
  }
}

/** The store, with every transaction shown to `look` first, which may throw. */
function watched(store: Store, look: (transaction: Transaction) => void, after = false): SyncableStore {
  return {
    list: (prefix, options) => store.list(prefix, options),
    grantLease: (options) => store.grantLease(options),
    transact: async (transaction, options) => {
      if (!after) look(transaction);
      const result = await store.transact(transaction, options);
      if (after) look(transaction);
      return result;
    },
  };
}

const keysOf = (transaction: Transaction): string[] => transaction.then.map(({ key }) => String(key));

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
    const sync = rig.sync({ store, reassertMs: 60_000 });
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
    await rig.clock.advance(60_000);
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

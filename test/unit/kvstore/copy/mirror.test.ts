import { describe, expect, test } from '@jest/globals';
import {
  EngineStore,
  InvalidRequestError,
  MemoryEngine,
  type MirrorProgress,
  type Operation,
  PermissionDeniedError,
  SourceReplacedError,
  type Store,
  UnavailableError,
  type WatchBatch,
  copiesPrefix,
} from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { until } from '../../../support/until.ts';
import { TwoStores, entryOf, eventually, valueOf } from './two-stores.ts';

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

  describe('when what was allowed is refused for a while', () => {
    const refusing = (store: Store) => {
      const state = { refuses: false, refused: 0, cut: new AbortController() };
      const check = (): void => {
        if (!state.refuses) return;
        state.refused += 1;
        throw new PermissionDeniedError('The token is not known');
      };
      return {
        state,
        /** Ends watches, too. */
        refuse: (): void => {
          state.refuses = true;
          state.cut.abort();
          state.cut = new AbortController();
        },
        store: {
          health: () => store.health(),
          list: async function* (...args: Parameters<Store['list']>) {
            check();
            yield* store.list(...args);
          },
          put: async (...args: Parameters<Store['put']>) => {
            check();
            return await store.put(...args);
          },
          transact: async (...args: Parameters<Store['transact']>) => {
            check();
            return await store.transact(...args);
          },
          grantLease: async (...args: Parameters<Store['grantLease']>) => {
            check();
            return await store.grantLease(...args);
          },
          listAndWatch: async function* (prefix: string | Uint8Array, { signal }: { readonly signal: AbortSignal }) {
            check();
            yield* store.listAndWatch(prefix, { signal: AbortSignal.any([signal, state.cut.signal]) });
            if (!signal.aborted) check();
          },
        },
      };
    };

    test.each(['source', 'target'] as const)('by the %s, the copy goes on when it is allowed again', async (which) => {
      await using stores = new TwoStores();
      const { a, b } = stores;
      const [from, to] = [refusing(a), refusing(b)];
      await a.put('k', '1');
      const stop = await stores.follow({ from: from.store, to: to.store });
      const { state, refuse } = which === 'source' ? from : to;
      refuse();
      await a.put('k', '2');
      await until(() => state.refused > 1);
      expect(await valueOf(b, 'k')).toBe('1');
      state.refuses = false;
      await until(async () => (await valueOf(b, 'k')) === '2');
      // What the next copier is told goes on, too.
      await stop();
      await a.put('k', '3');
      expect(await stores.copyOnce()).toMatchObject({ kept: 0 });
    });

    test.each(['source', 'target'] as const)('it ends at once where the %s never allowed it', async (which) => {
      await using stores = new TwoStores();
      const { a, b } = stores;
      await a.put('k', '1');
      const [from, to] = [refusing(a), refusing(b)];
      (which === 'source' ? from : to).state.refuses = true;
      await expect(stores.follow({ from: from.store, to: to.store })).rejects.toThrow(PermissionDeniedError);
    });

    test('it ends at once where the target may be read and not written', async () => {
      await using stores = new TwoStores();
      const { a, b } = stores;
      await a.put('k', '1');
      const to = { ...refusing(b).store, transact: () => Promise.reject(new PermissionDeniedError('transact')) };
      await expect(stores.follow({ to })).rejects.toThrow(PermissionDeniedError);
    });
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

  test('keys whose lease in the target is lost are written again', async () => {
    await using stores = new TwoStores();
    const { a, b, engines } = stores;
    await using lease = await a.grantLease({ ttlSeconds: 60 });
    await a.put('node', '1', { lease: lease.id });
    await stores.follow({ leaseTtlSeconds: 1 });
    const held = (await b.get('node'))?.lease ?? 0n;
    await engines[1].leaseRevoke(held);
    expect((await eventually(() => b.get('node'))).lease).not.toBe(held);
  });

  test('keys whose lease is renewed no longer are written under another one, although they are still there', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    await using lease = await a.grantLease({ ttlSeconds: 60 });
    await a.put('node', '1', { lease: lease.id });
    const losing = new AbortController();
    await stores.follow({
      to: {
        list: (...args) => b.list(...args),
        put: (...args) => b.put(...args),
        transact: (...args) => b.transact(...args),
        grantLease: async (options) => {
          const granted = await b.grantLease(options);
          const lost = losing.signal.aborted ? granted.lost : losing.signal;
          return {
            id: granted.id,
            ttlSeconds: granted.ttlSeconds,
            lost,
            revoke: () => granted.revoke(),
            [Symbol.asyncDispose]: () => granted[Symbol.asyncDispose](),
          };
        },
      },
    });
    const held = (await b.get('node'))?.lease;
    losing.abort(new Error('Nothing was heard for too long'));
    await eventually(async () => ((await b.get('node'))?.lease === held ? undefined : true));
    expect(await valueOf(b, 'node')).toBe('1');
  });

  test('a lease that the target does not know any more is given up at once', async () => {
    await using stores = new TwoStores();
    const { a, b, engines } = stores;
    await using lease = await a.grantLease({ ttlSeconds: 60 });
    await a.put('node', '1', { lease: lease.id });
    await stores.follow({ leaseTtlSeconds: 3600 });
    await engines[1].leaseRevoke((await b.get('node'))?.lease ?? 0n);
    await a.put('node', '2', { lease: lease.id });
    await eventually(async () => ((await valueOf(b, 'node')) === '2' ? true : undefined));
  });

  test('a history that was compacted is listed again', async () => {
    await using stores = new TwoStores();
    const { a, engines } = stores;
    for (let i = 0; i < 20; i++) await a.put(`k/${i}`, '1');
    await stores.follow();
    for (let i = 0; i < 20; i++) await a.delete(`k/${i}`);
    await engines[0].compact(engines[0].revision);
    await a.put('k/new', '1');
    expect(await stores.differences()).toEqual([]);
  });

  test.each(['told', 'seen by its id'] as const)(
    'a source that was replaced ends the copy, and the target stays (%s)',
    async (how) => {
      await using stores = new TwoStores();
      const { a, b } = stores;
      await a.put('k', '1');
      await stores.copyOnce();
      let storeId = 'first';
      const from = {
        health: () => ({ ...a.health(), storeId }),
        async *listAndWatch(): AsyncGenerator<WatchBatch, void, void> {
          yield { type: 'restart', reason: 'start' };
          if (storeId === 'first')
            yield { type: 'changes', events: [{ type: 'put', entry: await entryOf(a, 'k') }], revision: 2 };
          yield { type: 'synced', revision: 2 };
          if (how === 'told') yield { type: 'restart', reason: 'store-replaced' };
          storeId = 'second';
          throw new UnavailableError('The connection was lost');
        },
      };
      await expect(stores.copyOnce({ from, once: false })).rejects.toThrow(SourceReplacedError);
      expect(await valueOf(b, 'k')).toBe('1');
    },
  );

  test('a source that was wiped under its id while the target was away empties nothing', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    for (const key of ['k', 'l', 'm']) await a.put(key, '1');
    await using wiped = new MemoryEngine({ clock: systemClock });
    await using other = new EngineStore(wiped, { clock: systemClock, endpoint: 'a' });
    await other.put('k', 'of another life');
    let from: Store = a;
    let away = false;
    const ending = new AbortController();
    let ended: unknown;
    const copying = stores
      .copyOnce(
        {
          once: false,
          from: {
            health: () => ({ ...from.health(), storeId: 'the same' }),
            listAndWatch: (...args) => from.listAndWatch(...args),
          },
          to: {
            list: (...args) => b.list(...args),
            put: (...args) => b.put(...args),
            grantLease: (...args) => b.grantLease(...args),
            transact: (...args) => {
              if (!away) return b.transact(...args);
              away = false;
              from = other;
              return Promise.reject(new UnavailableError('The connection was lost'));
            },
          },
        },
        ending.signal,
      )
      .catch((error: unknown) => (ended = error));
    await eventually(async () => ((await b.get('m')) ? true : undefined));
    away = true;
    await a.put('k', '2');
    await eventually(async () => ended ?? ((await b.get('l')) ? undefined : 'emptied'));
    ending.abort();
    await copying;
    expect(ended).toBeInstanceOf(SourceReplacedError);
    expect([await valueOf(b, 'k'), await valueOf(b, 'l'), await valueOf(b, 'm')]).toEqual(['1', '1', '1']);
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

  test('copies a prefix and leaves the rest alone', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    await a.put('in/1', '1');
    await a.put('out/1', '1');
    await b.put('out/2', '1');
    expect(await stores.copyOnce({ prefix: 'in/' })).toMatchObject({ listed: 1, written: 1, extra: 0 });
    expect(await stores.differences(0)).toEqual(['only-in-a out/1', 'only-in-b out/2']);
  });

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

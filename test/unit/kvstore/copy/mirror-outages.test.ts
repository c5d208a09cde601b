import { describe, expect, test } from '@jest/globals';
import {
  EngineStore,
  MemoryEngine,
  PermissionDeniedError,
  SourceReplacedError,
  type Store,
  UnavailableError,
  type WatchBatch,
} from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { until } from '../../../support/until.ts';
import { TwoStores, entryOf, eventually, valueOf } from './two-stores.ts';

describe('a copy of a store that is cut off, refused or replaced', () => {
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

  test('a key whose writing was not answered before the lease of the copier ended is still its own', async () => {
    await using stores = new TwoStores();
    const { a, b, engines } = stores;
    await a.put('k', '1');
    let cut = false;
    let granted: bigint[] = [];
    let losing = new AbortController();
    await stores.follow({
      to: {
        list: (...args) => b.list(...args),
        put: (...args) => b.put(...args),
        transact: async (...args) => {
          const result = await b.transact(...args);
          if (!cut) return result;
          // It was carried out; what said so goes with the lease, and the answer is lost.
          cut = false;
          for (const id of granted.splice(0)) await engines[1].leaseRevoke(id);
          losing.abort(new Error('Nothing was heard for too long'));
          losing = new AbortController();
          throw new UnavailableError('The connection was cut');
        },
        grantLease: async (options) => {
          const lease = await b.grantLease(options);
          granted = [...granted, lease.id];
          return {
            id: lease.id,
            ttlSeconds: lease.ttlSeconds,
            lost: losing.signal,
            revoke: () => lease.revoke(),
            [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
          };
        },
      },
    });
    cut = true;
    await a.put('k', '2');
    await until(() => !cut);
    await a.put('k', '3');
    await until(async () => (await valueOf(b, 'k')) === '3');
  });

  test('what is its own stays so when the target is cut off again while it is listed anew', async () => {
    await using stores = new TwoStores();
    const { a, b, engines } = stores;
    const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
    for (const key of keys) await a.put(key, '1');
    let granted: bigint[] = [];
    let losing = new AbortController();
    let cuts = 0;
    await stores.follow({
      to: {
        transact: (...args) => b.transact(...args),
        put: (...args) => b.put(...args),
        list: async function* (prefix, options) {
          for await (const page of b.list(prefix, { ...options, pageSize: 100 })) {
            yield page;
            if (cuts === 0 || Buffer.from(prefix).length > 0) continue;
            cuts -= 1;
            throw new UnavailableError('The connection was cut');
          }
        },
        grantLease: async (options) => {
          const lease = await b.grantLease(options);
          granted = [...granted, lease.id];
          return {
            id: lease.id,
            ttlSeconds: lease.ttlSeconds,
            lost: losing.signal,
            revoke: () => lease.revoke(),
            [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
          };
        },
      },
    });
    // What says that they are its own goes with the lease.
    cuts = 2;
    for (const id of granted.splice(0)) await engines[1].leaseRevoke(id);
    const lost = losing;
    losing = new AbortController();
    lost.abort(new Error('Nothing was heard for too long'));
    for (const key of keys) await a.put(key, '2');
    await until(() => cuts === 0);
    expect(await stores.differences(20_000)).toEqual([]);
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
});

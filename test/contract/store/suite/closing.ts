import { expect } from '@jest/globals';
import { ClosedError, type Store } from '../../../../kvstore/index.ts';
import type { Owes } from './cases.ts';
import type { StoreContext } from './context.ts';
import { Follower } from './follower.ts';

/** Signals, health and the end of a store. */
export function closingCases(context: StoreContext, owes: Owes): void {
  const reason = new Error('not any more');

  const calls: readonly {
    readonly call: string;
    readonly run: (store: Store, key: string, signal: AbortSignal) => Promise<unknown>;
  }[] = [
    { call: 'get', run: (store, key, signal) => store.get(key, { signal }) },
    { call: 'put', run: (store, key, signal) => store.put(key, 'x', { signal }) },
    { call: 'delete', run: (store, key, signal) => store.delete(key, { signal }) },
    { call: 'deletePrefix', run: (store, key, signal) => store.deletePrefix(key, { signal }) },
    { call: 'transact', run: (store, _key, signal) => store.transact({ when: [], then: [] }, { signal }) },
    { call: 'grantLease', run: (store, _key, signal) => store.grantLease({ ttlSeconds: 30, signal }) },
    { call: 'lock', run: (store, key, signal) => store.lock(key, { signal }) },
    { call: 'list', run: (store, key, signal) => firstPage(store, key, signal) },
  ];
  for (const { call, run } of calls)
    owes('C1', `${call} with an aborted signal rejects with its reason and does nothing`, async () => {
      const prefix = context.prefix();
      const before = await context.revision();
      await expect(run(context.store, `${prefix}a`, AbortSignal.abort(reason))).rejects.toBe(reason);
      expect(await context.revision()).toBe(before);
    });

  owes('C1', 'a listing rejects when its signal aborts between two pages', async () => {
    const prefix = context.prefix();
    for (let i = 0; i < 5; i++) await context.store.put(`${prefix}${i}`, 'x');
    const stopping = new AbortController();
    const listing = async (): Promise<void> => {
      for await (const page of context.store.list(prefix, { pageSize: 1, signal: stopping.signal }))
        if (page.entries.length > 0) stopping.abort(reason);
    };
    await expect(listing()).rejects.toBe(reason);
  });

  owes('C4', 'health names the endpoint and the store, and follows the revision', async () => {
    const { revision } = await context.store.put(`${context.prefix()}a`, 'x');
    const health = context.store.health();
    expect(health.connected).toBe(true);
    expect(health.error).toBeUndefined();
    expect(health.revision).toBeGreaterThanOrEqual(revision);
    expect(health.endpoint).not.toBe('');
    expect(health.storeId).toMatch(/^[0-9a-f]+$/);
    expect(health.storeId).not.toBe('0');
    expect(health.lastContactMs).toBeGreaterThan(0);
  });

  owes('C2', 'a closed store refuses every call and ends its watches', async () => {
    const store = await context.another();
    await store.put(`${context.prefix()}a`, 'x');
    const follower = await new Follower(store, context.prefix()).whenSynced();
    await store[Symbol.asyncDispose]();
    await follower.ended();
    expect(follower.error).toBeInstanceOf(ClosedError);
    await expect(store.get('a')).rejects.toThrow(ClosedError);
    await expect(store.put('a', 'x')).rejects.toThrow(ClosedError);
    await expect(store.transact({ when: [], then: [] })).rejects.toThrow(ClosedError);
    await expect(store.grantLease({ ttlSeconds: 30 })).rejects.toThrow(ClosedError);
    await expect(firstPage(store, 'a')).rejects.toThrow(ClosedError);
    expect(store.health().connected).toBe(false);
    await store[Symbol.asyncDispose]();
  });

  owes('C3', 'closing a store leaves what it wrote, leases included, and other stores', async () => {
    const store = await context.another();
    const prefix = context.prefix();
    const lease = await store.grantLease({ ttlSeconds: 30 });
    await store.put(`${prefix}leased`, 'x', { lease: lease.id });
    await store.put(`${prefix}free`, 'x');
    await store[Symbol.asyncDispose]();
    expect(await context.store.get(`${prefix}leased`)).toBeDefined();
    expect(await context.store.get(`${prefix}free`)).toBeDefined();
    await context.opened.revokeLease(lease.id);
  });
}

async function firstPage(store: Store, prefix: string, signal?: AbortSignal): Promise<unknown> {
  for await (const page of store.list(prefix, signal ? { signal } : {})) return page;
  return undefined;
}

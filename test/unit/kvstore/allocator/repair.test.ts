import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type AllocatorStore,
  type HoldersOptions,
  IdentityAllocator,
  type IdentityAllocatorOptions,
  type Said,
} from '../../../../kvstore/allocator/index.ts';
import { type Store, type Transaction, toText } from '../../../../kvstore/contract/index.ts';
import { EngineStore } from '../../../../kvstore/engine/index.ts';
import { claimTerm, fencedStore } from '../../../../kvstore/fenced/index.ts';
import { MemoryEngine } from '../../../../kvstore/memory/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { createLogger } from '../../../../runtime/log/index.ts';

const prefix = 'ids/';
const hiddenPrefix = 'hidden/';

let clock: VirtualClock;
let engine: MemoryEngine;
let store: Store;
let stop: AbortController;
let said: string;
beforeEach(() => {
  clock = new VirtualClock();
  engine = new MemoryEngine({ clock });
  store = new EngineStore(engine, { clock, endpoint: 'memory' });
  stop = new AbortController();
  said = '';
});
afterEach(async () => {
  stop.abort();
  await store[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

/** An allocator that looks after its numbers, and its end. */
async function running(
  options: Partial<IdentityAllocatorOptions> = {},
): Promise<AsyncDisposable & { readonly allocator: IdentityAllocator }> {
  const log = createLogger({ level: 'info', format: 'text', clock, write: (text) => (said += text) });
  const range = { min: 100, max: 1_099 };
  const allocator = new IdentityAllocator({ store, prefix, hiddenPrefix, range, clock, log, ...options });
  await allocator.load(stop.signal);
  const ended = new AbortController();
  const runs = allocator.run(ended.signal).catch(() => undefined);
  return {
    allocator,
    [Symbol.asyncDispose]: async () => {
      ended.abort();
      await runs;
    },
  };
}

/** The store as it is for somebody to whom something happens just before one of his transactions. */
function interrupted(on: (transaction: Transaction) => Promise<void> | undefined): AllocatorStore {
  return {
    list: (from, options) => store.list(from, options),
    listAndWatch: (from, options) => store.listAndWatch(from, options),
    transact: async (transaction, options) => {
      await on(transaction);
      return await store.transact(transaction, options);
    },
  };
}

const writes = ({ then, otherwise = [] }: Transaction): boolean =>
  [...then, ...otherwise].some(({ type }) => type === 'put');

async function content(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const from of [prefix, hiddenPrefix])
    for await (const page of store.list(from))
      for (const { key, value } of page.entries) found[toText(key)] = toText(value);
  return found;
}

describe('The key of a number that somebody refers to', () => {
  test('is put back by an apiserver that leads, too: its store is fenced', async () => {
    const fence = await claimTerm(
      {
        store,
        key: 'term',
        election: { status: () => ({ identity: 'x', leading: true }), confirm: async () => true },
        clock,
      },
      stop.signal,
    );
    await using here = await running({ store: fencedStore(store, fence, () => undefined) });
    const id = await here.allocator.allocate('a', stop.signal);
    await clock.advance(1);
    await store.delete(`${prefix}${id}`);
    await clock.advance(1);
    expect(await content()).toEqual({ [`${prefix}${id}`]: 'a' });
    await store.put(`${prefix}${id}`, 'other');
    await clock.advance(1);
    expect(await content()).toEqual({ [`${prefix}${id}`]: 'a' });
  });

  test('is not written over what another allocator put there meanwhile, but after it was looked at and named', async () => {
    let meanwhile: (() => Promise<void>) | undefined;
    await using here = await running({
      store: interrupted((transaction) => {
        if (!writes(transaction)) return undefined;
        const happens = meanwhile;
        meanwhile = undefined;
        return happens?.();
      }),
    });
    const id = await here.allocator.allocate('a', stop.signal);
    await clock.advance(1);
    // The repair has found it absent; before it writes, somebody creates it as allocators do.
    meanwhile = async () => {
      const key = `${prefix}${id}`;
      const absent = { key, target: 'create', result: 'equal', value: 0 } as const;
      const { succeeded } = await store.transact({ when: [absent], then: [{ type: 'put', key, value: 'taken' }] });
      expect(succeeded).toBe(true);
    };
    await store.delete(`${prefix}${id}`);
    await clock.advance(1);
    expect(await content()).toEqual({ [`${prefix}${id}`]: 'a' });
    // Who took it is told by its watch; people are told by both meanings.
    expect(said).toMatch(/put back.*taken.*held=a/);
  });

  test('does not come back in sight of everybody when it was hidden in the middle of a repair', async () => {
    const hiding: Promise<void>[] = [];
    let armed = false;
    await using here = await running({
      store: interrupted((transaction) => {
        if (!armed || !writes(transaction)) return undefined;
        armed = false;
        hiding.push(here.allocator.setHidden('a', true, stop.signal));
        return hiding[0];
      }),
    });
    const id = await here.allocator.allocate('a', stop.signal);
    await clock.advance(1);
    armed = true;
    await store.put(`${prefix}${id}`, 'other');
    await clock.advance(1);
    await Promise.all(hiding);
    await clock.advance(1);
    const found = await content();
    expect([found[`${hiddenPrefix}${id}`], found[`${prefix}${id}`]]).toEqual(['a', undefined]);
  });
});

test('A number that somebody took while its text is hidden is his no more, and both meanings are named', async () => {
  let armed = false;
  await using here = await running({
    store: interrupted((transaction) => {
      if (!armed || !writes(transaction)) return undefined;
      armed = false;
      return store.put(`${prefix}${id}`, 'taken').then(() => undefined);
    }),
  });
  const id: number = await here.allocator.allocate('a', stop.signal);
  await clock.advance(1);
  armed = true;
  await here.allocator.setHidden('a', true, stop.signal);
  expect(await content()).toEqual({ [`${hiddenPrefix}${id}`]: 'a' });
  expect(said).toMatch(/put back.*held=a.*elsewhere=taken/);
});

describe('Many numbers at once', () => {
  /** A hundred numbers, and the requests that were made since they were there. */
  const hundred = async () => {
    const requests: Transaction[] = [];
    const here = await running({
      store: interrupted((transaction) => {
        requests.push(transaction);
        return undefined;
      }),
    });
    for (let i = 0; i < 100; i++) await here.allocator.allocate(`text ${i}`, stop.signal, { hidden: i % 10 === 0 });
    await clock.advance(1);
    requests.length = 0;
    return { here, requests, before: await content() };
  };

  test('are put back thirty to a request when the store has lost them', async () => {
    const { here, requests, before } = await hundred();
    await using _here = here;
    await store.deletePrefix(prefix);
    await store.deletePrefix(hiddenPrefix);
    await clock.advance(1);
    expect(await content()).toEqual(before);
    // 90 and 10 of them.
    expect(requests).toHaveLength(4);
    for (const { when, then } of requests) expect(when.length + then.length).toBeLessThan(126);
    expect(said.match(/put back/g)).toHaveLength(100);
  });

  test('are put back in two requests for thirty where some mean something else by now, which is named', async () => {
    const { here, requests, before } = await hundred();
    await using _here = here;
    const keys = Object.keys(before).filter((key) => key.startsWith(prefix));
    await store.transact({
      when: [],
      then: keys.map((key, i) =>
        i % 3 === 0 ? { type: 'put', key, value: `taken ${i}` } : ({ type: 'delete', key } as const),
      ),
    });
    await clock.advance(1);
    expect(await content()).toEqual(before);
    expect(requests).toHaveLength(6);
    expect(said.match(/stored="?taken/g)).toHaveLength(30);
  });
});

describe('Many numbers that a store has lost before an allocator begins, and that nodes hold', () => {
  const held = Array.from({ length: 100 }, (_, i) => ({ id: 100 + i, text: `text ${i}`, hidden: i % 10 === 0 }));
  const before = Object.fromEntries(
    held.map(({ id, text, hidden }) => [`${hidden ? hiddenPrefix : prefix}${id}`, text] as const),
  );
  const holders: HoldersOptions = {
    prefix: 'held/',
    read: (_holder, { value }) => JSON.parse(toText(value)) as Said,
  };
  beforeEach(async () => {
    await store.put('held/n1', JSON.stringify({ references: held.slice(0, 60) }));
    await store.put('held/n2', JSON.stringify({ references: held.slice(40) }));
  });

  test('are put back thirty to a request', async () => {
    const requests: Transaction[] = [];
    await using here = await running({
      holders,
      store: interrupted((transaction) => {
        requests.push(transaction);
        return undefined;
      }),
    });
    expect(await content()).toEqual(before);
    expect(requests).toHaveLength(4);
    for (const { when, then } of requests) expect(when.length + then.length).toBeLessThan(126);
    expect(here.allocator.conflicts).toEqual([]);
    expect(await here.allocator.allocate('text 7', stop.signal)).toBe(107);
  });

  test('stay what somebody made of them meanwhile, which is contested and named, and the others of their request come back', async () => {
    const taken = held.filter((_, i) => i % 3 === 0).map(({ id }) => id);
    const requests: Transaction[] = [];
    await using here = await running({
      holders,
      store: interrupted(async (transaction) => {
        requests.push(transaction);
        if (requests.length === 1) for (const id of taken) await store.put(`${prefix}${id}`, `taken ${id}`);
      }),
    });
    const expected = { ...before };
    for (const id of taken) {
      delete expected[`${hiddenPrefix}${id}`];
      expected[`${prefix}${id}`] = `taken ${id}`;
    }
    expect(await content()).toEqual(expected);
    expect(requests).toHaveLength(8);
    const meanings = here.allocator.conflicts.map(({ id, ours, theirs }) => ({ id, ours, theirs }));
    expect(meanings.toSorted((a, b) => a.id - b.id)).toEqual(
      taken.map((id) => ({ id, ours: `taken ${id}`, theirs: `text ${id - 100}` })),
    );
    expect(said.match(/means one thing/g)).toHaveLength(taken.length);
  });
});

test('A text of many kilobytes does not make the request of others too large', async () => {
  await using here = await running();
  const texts = Array.from({ length: 20 }, (_, i) => `${i}`.padEnd(100_000, 'x'));
  for (const text of texts) await here.allocator.allocate(text, stop.signal);
  await clock.advance(1);
  const before = await content();
  await store.deletePrefix(prefix);
  await clock.advance(1);
  expect(await content()).toEqual(before);
});

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  EngineStore,
  FencedError,
  InvalidRequestError,
  MemoryEngine,
  type Store,
  claimTerm,
  fencedStore,
  toText,
} from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

const key = 'isthmus/v1/leader/test.term';
const { signal } = new AbortController();

let clock: VirtualClock;
let engine: MemoryEngine;
let store: Store;
/** Who holds the office, whatever that is kept in. */
let holder: string;

beforeEach(() => {
  clock = new VirtualClock();
  engine = new MemoryEngine({ clock });
  store = new EngineStore(engine, { clock, endpoint: 'memory' });
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

const election = (identity: string, asked: () => void = () => undefined) => ({
  status: () => ({ identity, leading: true }),
  confirm: async () => {
    asked();
    return holder === identity;
  },
});

/** A replica that wins the office and begins its term. */
async function leader(name: string): Promise<{ store: Store; broken: unknown[] }> {
  holder = name;
  const broken: unknown[] = [];
  const fence = await claimTerm({ store, key, election: election(name), clock }, signal);
  return { store: fencedStore(store, fence, (error) => broken.push(error)), broken };
}

const textOf = async (name: string): Promise<string | undefined> => {
  const entry = await store.get(name);
  return entry && toText(entry.value);
};

describe('A fenced store', () => {
  test('writes as any other while its fence stands', async () => {
    const { store: own, broken } = await leader('a');
    const { revision } = await own.put('k', '1');
    expect((await store.get('k'))?.modRevision).toBe(revision);
    const lease = await own.grantLease({ ttlSeconds: 60 });
    await own.put('leased', '1', { lease: lease.id });
    expect((await own.get('leased'))?.lease).toBe(lease.id);
    expect(await own.delete('k')).toMatchObject({ deleted: true });
    expect(await own.delete('k')).toMatchObject({ deleted: false });
    const unmet = await own.transact({
      when: [{ key: 'leased', target: 'version', result: 'equal', value: 7 }],
      then: [{ type: 'put', key: 'k', value: '2' }],
      otherwise: [{ type: 'get', key: 'leased' }],
    });
    expect(unmet).toMatchObject({ succeeded: false, results: [{ type: 'get', entry: { version: 1 } }] });
    expect(unmet.results).toHaveLength(1);
    expect(broken).toEqual([]);
  });

  test('changes nothing any more once another one has begun a term, and says so', async () => {
    const first = await leader('a');
    await first.store.put('k', 'of a');
    const second = await leader('b');
    await second.store.put('k', 'of b');
    await expect(first.store.put('k', 'late')).rejects.toThrow(FencedError);
    await expect(first.store.delete('k')).rejects.toThrow(FencedError);
    await expect(
      first.store.transact({
        when: [{ key: 'k', target: 'version', result: 'greater', value: 0 }],
        then: [{ type: 'put', key: 'k', value: 'late' }],
      }),
    ).rejects.toThrow(`Somebody else leads: ${key}`);
    expect(first.broken).toHaveLength(3);
    expect(await textOf('k')).toBe('of b');
    expect(await textOf(key)).toContain('"holder":"b"');
    await second.store.put('k', 'of b again');
    expect(second.broken).toEqual([]);
    // Reading is everybody's.
    expect(await first.store.get('k')).toBeDefined();
  });

  test('fences nothing that it could not take back', async () => {
    const { store: own } = await leader('a');
    await expect(
      own.transact({ when: [], then: [], otherwise: [{ type: 'put', key: 'k', value: '1' }] }),
    ).rejects.toThrow(InvalidRequestError);
    await expect(own.deletePrefix('k')).rejects.toThrow(InvalidRequestError);
  });
});

describe('A term', () => {
  test('cannot be begun by whoever stood still after it had won', async () => {
    holder = 'a';
    let second: { store: Store } | undefined;
    // A stands still just when the office has been confirmed; until it goes on, B wins, begins its term and writes.
    const slow = {
      get: store.get.bind(store),
      transact: async (...call: Parameters<Store['transact']>) => {
        second ??= await leader('b');
        return await store.transact(...call);
      },
    };
    await expect(claimTerm({ store: slow, key, election: election('a'), clock }, signal)).rejects.toThrow(FencedError);
    await second?.store.put('k', 'of b');
    expect(await textOf('k')).toBe('of b');
    expect(await textOf(key)).toContain('"holder":"b"');
  });

  test('waits for the office where that cannot be asked about for a while', async () => {
    holder = 'a';
    let failures = 3;
    const asked = election('a', () => {
      if (failures-- > 0) throw new Error('The API server does not answer');
    });
    const claiming = claimTerm({ store, key, election: asked, clock }, signal);
    await clock.advance(10_000);
    const fence = await claiming;
    expect((await store.get(key))?.modRevision).toBe(fence.revision);
  });

  test('is begun again by whoever really leads, when one who does not was faster', async () => {
    holder = 'b';
    let interfered = false;
    const raced = {
      get: store.get.bind(store),
      transact: async (...call: Parameters<Store['transact']>) => {
        if (!interfered) await store.put(key, '{"holder":"a"}');
        interfered = true;
        return await store.transact(...call);
      },
    };
    const fence = await claimTerm({ store: raced, key, election: election('b'), clock }, signal);
    expect(await textOf(key)).toContain('"holder":"b"');
    expect((await store.get(key))?.modRevision).toBe(fence.revision);
  });
});

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  IdentityAllocator,
  type IdentityAllocatorOptions,
  RangeExhaustedError,
  textDigest,
} from '../../../../kvstore/allocator/index.ts';
import { type Store, toText } from '../../../../kvstore/contract/index.ts';
import { EngineStore } from '../../../../kvstore/engine/index.ts';
import { MemoryEngine } from '../../../../kvstore/memory/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';

const minute = 60_000;
const restPrefix = 'resting/';
const holding = 'held/';

let clock: VirtualClock;
let engine: MemoryEngine;
let store: Store;
let stop: AbortController;
beforeEach(() => {
  clock = new VirtualClock();
  engine = new MemoryEngine({ clock });
  store = new EngineStore(engine, { clock, endpoint: 'memory' });
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await store[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

/** A life of an allocator with one number to give. */
async function life(
  options: Partial<IdentityAllocatorOptions> = {},
): Promise<AsyncDisposable & { readonly allocator: IdentityAllocator }> {
  const range = { min: 1, max: 1 };
  const allocator = new IdentityAllocator({
    store,
    prefix: 'ids/',
    restPrefix,
    range,
    clock,
    log: silentLogger,
    graceMs: 10 * minute,
    ...options,
  });
  await allocator.load(stop.signal);
  const ended = new AbortController();
  const runs = allocator.run(ended.signal).catch(() => undefined);
  allocator.startCollecting();
  return {
    allocator,
    [Symbol.asyncDispose]: async () => {
      ended.abort();
      await runs;
    },
  };
}

async function stored(prefix: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const page of store.list(prefix))
    for (const { key, value } of page.entries) found[toText(key).slice(prefix.length)] = toText(value);
  return found;
}

/** The one number is given to `a`, given back and deleted, in an earlier life. */
async function deleted(): Promise<void> {
  await using before = await life();
  await before.allocator.allocate('a', stop.signal);
  before.allocator.release('a');
  await clock.advance(12 * minute);
  expect(await stored('ids/')).toEqual({});
}

describe('A deleted number', () => {
  test('rests beyond the life of who deleted it, and as long as if that lived', async () => {
    await deleted();
    await using next = await life();
    await expect(next.allocator.allocate('b', stop.signal)).rejects.toThrow(RangeExhaustedError);
    await clock.advance(11 * minute);
    expect(await next.allocator.allocate('b', stop.signal)).toBe(1);
    await clock.advance(2 * minute);
    expect(await stored(restPrefix)).toEqual({});
  });

  test('comes back to its text at once, in a later life too', async () => {
    await deleted();
    await using next = await life();
    expect(await next.allocator.allocate('a', stop.signal)).toBe(1);
  });

  test('rests no longer than a whole rest, whatever the wall clock of its record was', async () => {
    await store.put(`${restPrefix}1`, JSON.stringify({ labels: 'a', until: '2999-01-01T00:00:00.000Z' }));
    await using next = await life();
    await expect(next.allocator.allocate('b', stop.signal)).rejects.toThrow(RangeExhaustedError);
    await clock.advance(11 * minute);
    expect(await next.allocator.allocate('b', stop.signal)).toBe(1);
  });

  test('rests for everybody where its record makes no sense', async () => {
    await store.put(`${restPrefix}1`, '{"labels":7}');
    await using next = await life();
    await expect(next.allocator.allocate('b', stop.signal)).rejects.toThrow(RangeExhaustedError);
  });

  test('rests as well when somebody else has deleted it', async () => {
    {
      await using before = await life();
      await before.allocator.allocate('a', stop.signal);
      before.allocator.release('a');
      await store.delete('ids/1');
      await clock.advance(1_000);
    }
    await using next = await life();
    await expect(next.allocator.allocate('b', stop.signal)).rejects.toThrow(RangeExhaustedError);
  });
});

describe('A number that a holder remembers', () => {
  const holders: NonNullable<IdentityAllocatorOptions['holders']> = {
    prefix: holding,
    read: (_, { value }) => ({
      references: [],
      remembered: toText(value)
        .split(',')
        .filter(Boolean)
        .map((text) => [1, textDigest(text)] as const),
    }),
  };

  test('is given to its text and no other, until it has rested, however often it is said', async () => {
    await store.put(`${holding}n1`, 'a');
    await using it = await life({ holders });
    await expect(it.allocator.allocate('b', stop.signal)).rejects.toThrow(RangeExhaustedError);
    for (let i = 0; i < 11; i++) {
      await clock.advance(minute);
      await store.put(`${holding}n${i}`, 'a');
    }
    expect(await it.allocator.allocate('b', stop.signal)).toBe(1);
  });

  test('is given to nobody where two remember it otherwise', async () => {
    await store.put(`${holding}n1`, 'a');
    await store.put(`${holding}n2`, 'b');
    await using it = await life({ holders });
    for (const text of ['a', 'b'])
      await expect(it.allocator.allocate(text, stop.signal)).rejects.toThrow(RangeExhaustedError);
  });

  test('is not given in the meaning that the store has, where that is another one', async () => {
    await store.put('ids/1', 'long ago');
    await store.put(`${holding}n1`, 'a');
    await using it = await life({ holders, range: { min: 1, max: 2 } });
    expect(await it.allocator.allocate('long ago', stop.signal)).toBe(2);
  });
});

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  IdentityAllocator,
  type IdentityAllocatorOptions,
  RangeExhaustedError,
} from '../../../../kvstore/allocator/index.ts';
import { type Store, toText } from '../../../../kvstore/contract/index.ts';
import { EngineStore } from '../../../../kvstore/engine/index.ts';
import { MemoryEngine } from '../../../../kvstore/memory/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';

const prefix = 'ids/';
const minute = 60_000;

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

async function open(options: Partial<IdentityAllocatorOptions> = {}): Promise<IdentityAllocator> {
  const range = { min: 100, max: 1_099 };
  const all = { store, prefix, range, clock, log: silentLogger, graceMs: 10 * minute, ...options };
  const allocator = new IdentityAllocator(all);
  await allocator.load(stop.signal);
  return allocator;
}

async function content(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const page of store.list(prefix))
    for (const { key, value } of page.entries) found[toText(key).slice(prefix.length)] = toText(value);
  return found;
}

describe('An identity allocator with a hidden prefix', () => {
  const hiddenPrefix = 'hidden/';
  const hiddenContent = async (): Promise<Record<string, string>> => {
    const found: Record<string, string> = {};
    for await (const page of store.list(hiddenPrefix))
      for (const { key, value } of page.entries) found[toText(key).slice(hiddenPrefix.length)] = toText(value);
    return found;
  };

  test('gives no number two meanings, whichever prefix it is under', async () => {
    const range = { min: 1, max: 2 };
    const first = await open({ range, hiddenPrefix });
    const second = await open({ range, hiddenPrefix });
    const a = await first.allocate('a', stop.signal, { hidden: true });
    const b = await second.allocate('b', stop.signal);
    expect(new Set([a, b])).toEqual(new Set([1, 2]));
    expect([await content(), await hiddenContent()]).toEqual([{ [b]: 'b' }, { [a]: 'a' }]);
    expect(await second.allocate('a', stop.signal, { hidden: true })).toBe(a);
    await expect(second.allocate('c', stop.signal)).rejects.toThrow(RangeExhaustedError);
  });

  test('moves a text with its number, once, and repairs it where it is then', async () => {
    const allocator = await open({ hiddenPrefix });
    const running = allocator.run(stop.signal).catch(() => undefined);
    const a = await allocator.allocate('a', stop.signal);
    await allocator.setHidden('a', true, stop.signal);
    await clock.advance(1_000);
    expect([await content(), await hiddenContent()]).toEqual([{}, { [a]: 'a' }]);
    await store.delete(`${hiddenPrefix}${a}`);
    await clock.advance(1_000);
    expect([await content(), await hiddenContent()]).toEqual([{}, { [a]: 'a' }]);
    expect(await allocator.allocate('a', stop.signal)).toBe(a);
    await clock.advance(1_000);
    expect([await content(), await hiddenContent()]).toEqual([{ [a]: 'a' }, {}]);
    stop.abort();
    await running;
  });

  test('finds hidden numbers again after a restart, and collects them when nobody refers to them', async () => {
    const a = await (await open({ hiddenPrefix })).allocate('a', stop.signal, { hidden: true });
    const next = await open({ hiddenPrefix });
    expect(next.idOf('a')).toBe(a);
    const running = next.run(stop.signal).catch(() => undefined);
    next.startCollecting();
    await clock.advance(30 * minute);
    expect(await hiddenContent()).toEqual({});
    stop.abort();
    await running;
  });
});

test('A number of which the watch tells before its answer comes is one number, and goes when nobody refers to it', async () => {
  const allocator = await open();
  const running = allocator.run(stop.signal).catch(() => undefined);
  allocator.startCollecting();
  await clock.advance(1_000);
  await allocator.allocate('a', stop.signal);
  allocator.release('a');
  await clock.advance(30 * minute);
  expect(await content()).toEqual({});
  stop.abort();
  await running;
});

describe('An identity allocator', () => {
  test('gives one number a text, inside its range, and stores it before it answers', async () => {
    const allocator = await open();
    const [a, again, b] = await Promise.all([
      allocator.allocate('a', stop.signal),
      allocator.allocate('a', stop.signal),
      allocator.allocate('b', stop.signal),
    ]);
    expect(again).toBe(a);
    expect(b).not.toBe(a);
    expect(await content()).toEqual({ [a]: 'a', [b]: 'b' });
    for (const id of [a, b]) expect(id >= 100 && id <= 1_099).toBe(true);
  });

  test('finds its numbers again after a restart, and nearly all of them after the store was emptied', async () => {
    const texts = Array.from({ length: 50 }, (_, i) => `text-${i}`);
    const first = await open();
    const ids = await Promise.all(texts.map((text) => first.allocate(text, stop.signal)));
    const second = await open();
    expect(await Promise.all(texts.map((text) => second.allocate(text, stop.signal)))).toEqual(ids);
    await store.deletePrefix(prefix);
    const third = await open();
    const fresh = await Promise.all(texts.map((text) => third.allocate(text, stop.signal)));
    expect(fresh.filter((id, i) => id === ids[i]).length).toBeGreaterThan(40);
  });

  test('never gives a number a second meaning, although two of them work on one store', async () => {
    const range = { min: 1, max: 40 };
    const [one, two] = [await open({ range }), await open({ range })];
    const texts = Array.from({ length: 30 }, (_, i) => `text-${i}`);
    const ids = await Promise.all(
      texts.flatMap((text, i) => [
        (i % 2 ? one : two).allocate(text, stop.signal),
        (i % 3 ? one : two).allocate(text, stop.signal),
      ]),
    );
    for (const [i, text] of texts.entries()) {
      expect(ids[2 * i]).toBe(ids[2 * i + 1]);
      expect((await content())[String(ids[2 * i])]).toBe(text);
    }
    expect(new Set(ids).size).toBe(30);
  });

  test('says so when every number is taken', async () => {
    const allocator = await open({ range: { min: 7, max: 8 } });
    await allocator.allocate('a', stop.signal);
    await allocator.allocate('b', stop.signal);
    await expect(allocator.allocate('c', stop.signal)).rejects.toThrow(new RangeExhaustedError(7, 8));
  });

  test('leaves keys alone that are no numbers of its range', async () => {
    await store.put('ids/5', 'foreign');
    await store.put('ids/nonsense', 'foreign');
    const allocator = await open();
    expect(allocator.size).toBe(0);
    expect(await content()).toEqual({ 5: 'foreign', nonsense: 'foreign' });
  });
});

describe('A number that nobody refers to', () => {
  test('is deleted after the grace time, and rests as long before another text gets it', async () => {
    const range = { min: 1, max: 1 };
    const allocator = await open({ range });
    const done = allocator.run(stop.signal);
    allocator.startCollecting();
    await allocator.allocate('a', stop.signal);
    await allocator.allocate('a', stop.signal);
    allocator.release('a');
    await clock.advance(30 * minute);
    expect(await content()).toEqual({ 1: 'a' });
    allocator.release('a');
    await clock.advance(8 * minute);
    expect(await content()).toEqual({ 1: 'a' });
    await clock.advance(4 * minute);
    expect(await content()).toEqual({});
    await expect(allocator.allocate('b', stop.signal)).rejects.toThrow(RangeExhaustedError);
    await clock.advance(12 * minute);
    expect(await allocator.allocate('b', stop.signal)).toBe(1);
    stop.abort();
    await done;
  });

  test('is the same again for the same text at any time', async () => {
    const allocator = await open();
    const done = allocator.run(stop.signal);
    allocator.startCollecting();
    const id = await allocator.allocate('a', stop.signal);
    allocator.release('a');
    await clock.advance(5 * minute);
    expect(await allocator.allocate('a', stop.signal)).toBe(id);
    allocator.release('a');
    await clock.advance(12 * minute);
    expect(await content()).toEqual({});
    expect(await allocator.allocate('a', stop.signal)).toBe(id);
    expect(await content()).toEqual({ [id]: 'a' });
    stop.abort();
    await done;
  });

  test('is kept while the references are not yet known', async () => {
    await (await open()).allocate('a', stop.signal);
    const allocator = await open();
    const done = allocator.run(stop.signal);
    await clock.advance(60 * minute);
    expect(allocator.size).toBe(1);
    allocator.startCollecting();
    await clock.advance(12 * minute);
    expect(await content()).toEqual({});
    stop.abort();
    await done;
  });
});

test('A key that somebody deletes or overwrites is put back while it is referred to', async () => {
  const allocator = await open();
  const done = allocator.run(stop.signal);
  const id = await allocator.allocate('a', stop.signal);
  await clock.advance(1);
  await store.delete(`ids/${id}`);
  await clock.advance(1);
  expect(await content()).toEqual({ [id]: 'a' });
  await store.put(`ids/${id}`, 'other');
  await clock.advance(1);
  expect(await content()).toEqual({ [id]: 'a' });
  stop.abort();
  await done;
});

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  IdentityAllocator,
  type IdentityAllocatorOptions,
  type NumberConflict,
  NumberHolder,
  listReferences,
  referenceKey,
} from '../../../../kvstore/allocator/index.ts';
import { type Store, toText } from '../../../../kvstore/contract/index.ts';
import { EngineStore } from '../../../../kvstore/engine/index.ts';
import { MemoryEngine } from '../../../../kvstore/memory/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';

const prefix = 'ids/id/';
const referencePrefix = 'ids/value/';
const minute = 60_000;
const range = { min: 100, max: 199 };

let clock: VirtualClock;
let engine: MemoryEngine;
let store: Store;
let stop: AbortController;
beforeEach(() => {
  clock = new VirtualClock();
  stop = new AbortController();
  wipe();
});
afterEach(() => stop.abort());

/** Another store, as after the loss of a disk. */
function wipe(): void {
  engine = new MemoryEngine({ clock });
  store = new EngineStore(engine, { clock, endpoint: 'memory' });
}

async function open(options: Partial<IdentityAllocatorOptions> = {}): Promise<IdentityAllocator> {
  const allocator = new IdentityAllocator({
    store,
    prefix,
    referencePrefix,
    range,
    clock,
    log: silentLogger,
    graceMs: 10 * minute,
    ...options,
  });
  await allocator.load(stop.signal);
  return allocator;
}

function holder(name: string, onConflict?: (conflict: NumberConflict) => void): NumberHolder {
  const options = { prefix, referencePrefix, holder: name, lease: () => 0n };
  const transact: Store['transact'] = (transaction, more) => store.transact(transaction, more);
  return new NumberHolder({ ...options, store: { transact }, ...(onConflict ? { onConflict } : {}) });
}

async function content(from: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const page of store.list(from))
    for (const { key, value } of page.entries) found[toText(key).slice(from.length)] = toText(value);
  return found;
}

describe('A holder of numbers', () => {
  test('says in the store what it refers to, and takes it back', async () => {
    const allocator = await open();
    const id = await allocator.allocate('k8s:app=web;', stop.signal);
    const node = holder('10.0.0.1');
    expect(await node.hold('k8s:app=web;', id, stop.signal)).toBeUndefined();
    expect(await content('ids/')).toEqual({
      [`id/${id}`]: 'k8s:app=web;',
      'value/k8s:app=web;/10.0.0.1': String(id),
    });
    await node.release('k8s:app=web;', stop.signal);
    expect(await content(referencePrefix)).toEqual({});
    expect(node.held.size).toBe(0);
  });

  test('refuses a number that means something else, and names both meanings once', async () => {
    await store.put(`${prefix}150`, 'theirs');
    const told: NumberConflict[] = [];
    const node = holder('n', (conflict) => told.push(conflict));
    const conflict = { id: 150, ours: 'ours', theirs: 'theirs' };
    expect(await node.hold('ours', 150, stop.signal)).toEqual(conflict);
    expect(await node.hold('ours', 150, stop.signal)).toEqual(conflict);
    expect({ told, conflicts: node.conflicts, held: node.held.size }).toEqual({
      told: [conflict],
      conflicts: [conflict],
      held: 0,
    });
    expect(await content('ids/')).toEqual({ 'id/150': 'theirs' });
  });

  test('knows a text with slashes from a longer one', async () => {
    const node = holder('n');
    await node.hold('a=x', 101, stop.signal);
    await node.hold('a=x/y', 102, stop.signal);
    const found: string[] = [];
    for await (const { text, id } of listReferences(store, referencePrefix, stop.signal, 'a=x'))
      found.push(`${text} ${id}`);
    expect(found).toEqual(['a=x 101']);
    expect(() => referenceKey(referencePrefix, 'a', 'x/y')).toThrow(RangeError);
  });
});

describe('After its store was wiped', () => {
  test('an allocator gives no number another meaning, once those who hold some have said so', async () => {
    // Both texts point to the same number, so that their order decides who gets it.
    const before = await open({ range: { min: 100, max: 101 } });
    const [first, second] = [await before.allocate('one', stop.signal), await before.allocate('two', stop.signal)];
    const node = holder('n');
    await node.hold('two', second, stop.signal);
    wipe();
    const asserted = Promise.withResolvers<void>();
    const after = await open({ range: { min: 100, max: 101 }, opening: () => asserted.promise });
    const given = after.allocate('three', stop.signal);
    expect(await node.assert(stop.signal)).toEqual([]);
    asserted.resolve();
    // What the holder held is his; the other number is free again.
    expect(await given).toBe(first);
    expect(after.idOf('two')).toBe(second);
    expect(await content(prefix)).toEqual({ [first]: 'three', [second]: 'two' });
  });

  test('what is known waits with the rest: it may be known from long ago', async () => {
    await store.put(`${prefix}150`, 'known');
    const asserted = Promise.withResolvers<void>();
    const after = await open({ opening: () => asserted.promise });
    let given: number | undefined;
    const giving = after.allocate('known', stop.signal).then((id) => (given = id));
    await clock.advance(minute);
    expect(given).toBeUndefined();
    asserted.resolve();
    expect(await giving).toBe(150);
  });

  test('a failed opening is repeated by the next who asks', async () => {
    let tries = 0;
    const opening = (): Promise<void> => (++tries === 1 ? Promise.reject(new Error('not yet')) : Promise.resolve());
    const allocator = await open({ opening });
    await expect(allocator.allocate('a', stop.signal)).rejects.toThrow('not yet');
    expect(await allocator.allocate('a', stop.signal)).toBeGreaterThanOrEqual(100);
    expect(tries).toBe(2);
  });

  test('keys of numbers come back from references alone', async () => {
    await store.put(referenceKey(referencePrefix, 'kept', 'n1'), '160');
    await store.put(referenceKey(referencePrefix, 'far', 'n1'), '9999');
    const allocator = await open();
    expect(await content(prefix)).toEqual({ 160: 'kept' });
    expect(allocator.idOf('kept')).toBe(160);
  });
});

describe('After its store was restored to what it was long ago', () => {
  test('a number that was given anew meanwhile is contested: the store’s meaning stays, the holder is refused', async () => {
    // In the backup 150 is "old"; since then it was collected and given to "new", which a node uses.
    await store.put(`${prefix}150`, 'old');
    const node = holder('n');
    await store.put(referenceKey(referencePrefix, 'new', 'n'), '150');
    const allocator = await open();
    expect(allocator.conflicts).toEqual([{ id: 150, ours: 'old', theirs: 'new', holder: 'n' }]);
    expect(await node.hold('new', 150, stop.signal)).toEqual({ id: 150, ours: 'new', theirs: 'old' });
    const next = await allocator.allocate('new', stop.signal);
    expect(next).not.toBe(150);
    expect(await node.hold('new', next, stop.signal)).toBeUndefined();
  });

  test('a contested number is not given to what it meant long ago either, and another one is collected in its place', async () => {
    await store.put(`${prefix}150`, 'old');
    await store.put(referenceKey(referencePrefix, 'new', 'n'), '150');
    const allocator = await open();
    const another = await allocator.allocate('old', stop.signal);
    expect(another).not.toBe(150);
    expect(await allocator.allocate('old', stop.signal)).toBe(another);
    expect(await content(prefix)).toEqual({ 150: 'old', [another]: 'old' });
    const node = holder('m');
    expect(await node.hold('old', another, stop.signal)).toBeUndefined();
    allocator.startCollecting();
    const running = allocator.run(stop.signal);
    await clock.advance(30 * minute);
    expect(await content(prefix)).toEqual({ [another]: 'old' });
    stop.abort();
    await running.catch(() => undefined);
  });
});

describe('A number that somebody refers to in the store', () => {
  test('is not collected, however long nobody here refers to it', async () => {
    const allocator = await open();
    const id = await allocator.allocate('a', stop.signal);
    const node = holder('n');
    await node.hold('a', id, stop.signal);
    allocator.release('a');
    allocator.startCollecting();
    const running = allocator.run(stop.signal);
    await clock.advance(60 * minute);
    expect(await content(prefix)).toEqual({ [id]: 'a' });
    await node.release('a', stop.signal);
    await clock.advance(30 * minute);
    expect(await content(prefix)).toEqual({});
    stop.abort();
    await running.catch(() => undefined);
  });

  test('comes back when somebody refers to it while it is being deleted', async () => {
    const allocator = await open({
      store: {
        list: (from, options) => store.list(from, options),
        listAndWatch: (from, options) => store.listAndWatch(from, options),
        transact: async (transaction, options) => {
          // The holder's transaction is in just before the deletion.
          if (transaction.then[0]?.type === 'delete') await holder('n').hold('a', id, stop.signal);
          return store.transact(transaction, options);
        },
      },
    });
    const id = await allocator.allocate('a', stop.signal);
    allocator.release('a');
    allocator.startCollecting();
    const running = allocator.run(stop.signal);
    await clock.advance(15 * minute);
    expect(await content(prefix)).toEqual({ [id]: 'a' });
    expect(allocator.idOf('a')).toBe(id);
    stop.abort();
    await running.catch(() => undefined);
  });
});

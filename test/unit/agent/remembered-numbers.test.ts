import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { RememberedNumbers } from '../../../agent/registration/index.ts';
import { EngineStore, MemoryEngine, type Store, UnavailableError, textDigest, toText } from '../../../kvstore/index.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';

const global = 'cilium/state/identities/v1/id/';
const hidden = 'isthmus/v1/identities/';
const hour = 3_600_000;

let clock: VirtualClock;
let engine: MemoryEngine;
let store: Store;
const { signal } = new AbortController();
beforeEach(() => {
  clock = new VirtualClock();
  engine = new MemoryEngine({ clock });
  store = new EngineStore(engine, { clock, endpoint: 'memory' });
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

const open = (from: Pick<Store, 'get'> = store): RememberedNumbers =>
  new RememberedNumbers({ store: from, clock, log: silentLogger });

/** Lists a prefix, as a watch would, except that what has gone is not told. */
async function list(numbers: RememberedNumbers, prefix = global): Promise<void> {
  numbers.listed(prefix);
  for await (const page of store.list(prefix))
    for (const { key, value, modRevision } of page.entries)
      numbers.learnt(prefix, toText(key).slice(prefix.length), value, modRevision);
}

const told = async (numbers: RememberedNumbers): Promise<Record<number, number>> =>
  Object.fromEntries(await numbers.toTell(signal));

describe('Numbers that an agent remembers', () => {
  test('are not told of a store that has them all', async () => {
    const numbers = open();
    expect(await told(numbers)).toEqual({});
    await store.put(`${global}7`, 'a;');
    await store.put(`${global}8`, 'b;');
    await list(numbers);
    expect(await told(numbers)).toEqual({});
  });

  test('are told of a store that lacks the newest of them: it was replaced, and the watch may not have noticed yet', async () => {
    await store.put(`${global}7`, 'a;');
    await store.put(`${global}8`, 'b;');
    const numbers = open();
    await list(numbers);
    await store.delete(`${global}8`);
    expect(await told(numbers)).toEqual({ 7: textDigest('a;'), 8: textDigest('b;') });
    // Somebody has put it back: the same key, but another life of it.
    await store.put(`${global}8`, 'b;');
    expect(await told(numbers)).toEqual({ 7: textDigest('a;'), 8: textDigest('b;') });
  });

  test('are told while a new listing has not told of them, and for an hour after it has gone without them', async () => {
    await store.put(`${global}7`, 'a;');
    const numbers = open();
    await list(numbers);
    await store.delete(`${global}7`);
    await store.put(`${global}9`, 'c;');
    await list(numbers);
    expect(await told(numbers)).toEqual({ 7: textDigest('a;') });
    numbers.removed(global, '7');
    await clock.advance(hour - 1);
    expect(await told(numbers)).toEqual({ 7: textDigest('a;') });
    await clock.advance(1);
    expect(await told(numbers)).toEqual({});
  });

  test('are those of the store where it has given them anew', async () => {
    await store.put(`${global}7`, 'a;');
    const numbers = open();
    await list(numbers);
    numbers.removed(global, '7');
    await store.put(`${global}7`, 'b;');
    await list(numbers);
    expect(await told(numbers)).toEqual({});
  });

  test.each([
    ['a change', false],
    ['a new listing, as of an older copy', true],
  ])(
    'are told with what they meant first for an hour after the store gave them another meaning: by %s',
    async (_, again) => {
      await store.put(`${global}7`, 'a;');
      const numbers = open();
      await list(numbers);
      const { revision } = await store.put(`${global}7`, 'x;');
      if (again) await list(numbers);
      else numbers.learnt(global, '7', Buffer.from('x;'), revision);
      expect(await told(numbers)).toEqual({ 7: textDigest('a;') });
      await list(numbers);
      expect(await told(numbers)).toEqual({ 7: textDigest('a;') });
      await clock.advance(hour);
      expect(await told(numbers)).toEqual({});
    },
  );

  test('are not told once the store means the same again', async () => {
    await store.put(`${global}7`, 'a;');
    const numbers = open();
    await list(numbers);
    await store.put(`${global}7`, 'x;');
    await list(numbers);
    await store.put(`${global}7`, 'a;');
    await list(numbers);
    expect(await told(numbers)).toEqual({});
  });

  test.each([
    ['written before it is deleted', true],
    ['deleted before it is written', false],
  ])('are not gone when they move to the other prefix: %s', async (_, first) => {
    await store.put(`${global}7`, 'a;');
    const numbers = open();
    await list(numbers);
    await store.transact({
      when: [],
      then: [
        { type: 'put', key: `${hidden}7`, value: 'a;' },
        { type: 'delete', key: `${global}7` },
      ],
    });
    if (first) await list(numbers, hidden);
    numbers.removed(global, '7');
    if (!first) await list(numbers, hidden);
    expect(await told(numbers)).toEqual({});
  });

  test('are told where nobody can look, and a key that is no number is none', async () => {
    await store.put(`${global}7`, 'a;');
    await store.put(`${global}x`, 'a;');
    const numbers = open({ get: () => Promise.reject(new UnavailableError('No answer')) });
    await list(numbers);
    expect(await told(numbers)).toEqual({ 7: textDigest('a;') });
  });
});

import { expect, test } from '@jest/globals';
import { NoSpaceError, type Transaction, type TransactionResult, toBytes } from '../../../../kvstore/index.ts';
import { CacheWriter } from '../../../../clustermesh/kvstoremesh/cache-writer.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';

/** A store that answers when it is told to. */
class SlowStore {
  readonly asked: number[] = [];
  readonly #answers: (() => void)[] = [];

  async transact({ then }: Transaction): Promise<TransactionResult> {
    this.asked.push(then.length);
    await new Promise<void>((resolve) => this.#answers.push(resolve));
    return { succeeded: true, revision: 1, results: [] };
  }

  async answer(): Promise<void> {
    this.#answers.shift()?.();
    for (let i = 0; i < 20; i++) await Promise.resolve();
  }
}

const { signal } = new AbortController();
const step = (i: number) => ({ key: toBytes(`key-${i}`), value: toBytes('value') });
const steps = (from: number, count: number) => Array.from({ length: count }, (_, i) => step(from + i));

function writerOn(store: SlowStore): CacheWriter {
  const fence = { key: toBytes('lock'), target: 'create', result: 'equal', value: 1 } as const;
  return new CacheWriter({ store, fence, clock: new VirtualClock(), log: silentLogger }, signal);
}

test('what comes while a slow store works goes together with the next one', async () => {
  const store = new SlowStore();
  const writer = writerOn(store);
  const writes = Array.from({ length: 50 }, (_, i) => writer.write([step(i)], signal));
  expect(store.asked).toEqual([1, 1]);
  await store.answer();
  expect(store.asked).toEqual([1, 1, 48]);
  await store.answer();
  await store.answer();
  await Promise.all(writes);
  expect(store.asked).toEqual([1, 1, 48]);
});

test('says why nothing can be written, until it can again; that one still leads is no write', async () => {
  const clock = new VirtualClock();
  let full = true;
  const store = {
    transact: ({ then }: Transaction): Promise<TransactionResult> =>
      full && then.length > 0
        ? Promise.reject(new NoSpaceError('database space exceeded'))
        : Promise.resolve({ succeeded: true, revision: 1, results: [] }),
  };
  const fence = { key: toBytes('lock'), target: 'create', result: 'equal', value: 1 } as const;
  const writer = new CacheWriter({ store, fence, clock, log: silentLogger }, signal);
  const written = writer.write([step(1)], signal);
  for (let i = 0; i < 10; i++) await clock.advance(1000);
  expect(writer.failure).toBe('database space exceeded');
  await writer.apply([], signal);
  expect(writer.failure).toBe('database space exceeded');
  full = false;
  for (let i = 0; i < 10; i++) await clock.advance(1000);
  await written;
  expect(writer.failure).toBeUndefined();
});

test('many keys go in full transactions, several at a time', async () => {
  const store = new SlowStore();
  const written = writerOn(store).write(steps(0, 1000), signal);
  expect(store.asked).toEqual([120, 120, 120, 120, 120, 120, 120, 120]);
  for (let i = 0; i < 9; i++) await store.answer();
  await written;
  expect(store.asked.reduce((sum, count) => sum + count)).toBe(1000);
});

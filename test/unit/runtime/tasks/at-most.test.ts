import { expect, test } from '@jest/globals';
import { atMost } from '../../../../runtime/tasks/index.ts';
import { until } from '../../../support/until.ts';

/** Work that goes on until it is let go. */
class Work {
  readonly begun: number[] = [];
  readonly #ends = new Map<number, PromiseWithResolvers<void>>();

  readonly run = async (item: number): Promise<void> => {
    this.begun.push(item);
    const end = Promise.withResolvers<void>();
    this.#ends.set(item, end);
    await end.promise;
    this.#ends.delete(item);
  };

  end(item: number, error?: Error): void {
    if (error) this.#ends.get(item)?.reject(error);
    else this.#ends.get(item)?.resolve();
  }
}

test('begins no more than so many at a time, in their order', async () => {
  const work = new Work();
  const all = atMost(2, [1, 2, 3, 4], work.run);
  await until(() => work.begun.length === 2);
  expect(work.begun).toEqual([1, 2]);
  work.end(2);
  await until(() => work.begun.length === 3);
  work.end(1);
  await until(() => work.begun.length === 4);
  expect(work.begun).toEqual([1, 2, 3, 4]);
  for (const item of [3, 4]) work.end(item);
  await all;
});

test('throws the first failure once what is under way has ended, and begins nothing more', async () => {
  const work = new Work();
  let ended = false;
  const all = atMost(2, [1, 2, 3], work.run).finally(() => (ended = true));
  await until(() => work.begun.length === 2);
  work.end(1, new Error('no'));
  await new Promise((resolve) => setImmediate(resolve));
  expect(ended).toBe(false);
  work.end(2);
  await expect(all).rejects.toThrow('no');
  expect(work.begun).toEqual([1, 2]);
});

test('is done at once where there is nothing', async () => {
  await atMost(2, [], () => Promise.reject(new Error('called')));
});

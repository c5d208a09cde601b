import { describe, expect, test } from '@jest/globals';
import { TwoStores } from './two-stores.ts';

describe('comparing two stores', () => {
  test('names what only one of them has, and what differs, in byte order', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    for (const key of ['1', '3', '5', '7']) await a.put(key, 'x');
    for (const key of ['2', '3', '5', '9']) await b.put(key, key === '5' ? 'y' : 'x');
    expect(await stores.differences(0)).toEqual([
      'only-in-a 1',
      'only-in-b 2',
      'different 5',
      'only-in-a 7',
      'only-in-b 9',
    ]);
  });

  test('an empty value is not an absent key', async () => {
    await using stores = new TwoStores();
    await stores.a.put('k', '');
    expect(await stores.differences(200)).toEqual(['only-in-a k']);
  });

  test('finds a difference across pages of different lengths', async () => {
    await using stores = new TwoStores();
    const { a, b } = stores;
    for (let from = 0; from < 2500; from += 125) {
      const then = Array.from({ length: 125 }, (_, i) => ({
        type: 'put' as const,
        key: `k/${String(from + i).padStart(5, '0')}`,
        value: 'x',
      }));
      await a.transact({ when: [], then });
      await b.transact({ when: [], then });
    }
    await b.delete('k/01234');
    await b.put('k/02499x', '');
    expect(await stores.differences(0)).toEqual(['only-in-a k/01234', 'only-in-b k/02499x']);
  });

  test('what arrives while it looks again is no difference', async () => {
    await using stores = new TwoStores();
    await stores.a.put('late', '1');
    const looking = stores.differences(10_000);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await stores.b.put('late', '1');
    expect(await looking).toEqual([]);
  });
});

import { describe, expect, test } from '@jest/globals';
import { sortAsGo } from '../../../../kvstore/engine/go-sort.ts';
import { atOnce } from '../../../../kvstore/engine/steps.ts';

interface Item {
  readonly key: number;
  readonly at: number;
}

/** Made by a program of Go 1.26: `sort.Sort`, then `sort.Sort(sort.Reverse(…))`, of what `items` makes; FNV-1a of the places. */
const sortedByGo = [
  { length: 5, keys: 3, shape: 'random', up: 2908488453, down: 170310781 },
  { length: 13, keys: 2, shape: 'random', up: 4214791586, down: 920433494 },
  { length: 20, keys: 2, shape: 'random', up: 3586237375, down: 2419188345 },
  { length: 50, keys: 7, shape: 'random', up: 1447337804, down: 866477834 },
  { length: 100, keys: 3, shape: 'random', up: 3831346085, down: 4028508331 },
  { length: 257, keys: 50, shape: 'falling', up: 1265196464, down: 2801841862 },
  { length: 1000, keys: 3, shape: 'nearly sorted', up: 2111138231, down: 968276065 },
  { length: 1000, keys: 7, shape: 'random', up: 569321647, down: 1708071913 },
  { length: 1000, keys: 1_000_000, shape: 'random', up: 2334929059, down: 233368965 },
  { length: 5000, keys: 2, shape: 'rising', up: 559040207, down: 559040207 },
  { length: 5000, keys: 7, shape: 'a roof', up: 4099355737, down: 2095764449 },
] as const;

describe('the order of Go’s sort', () => {
  test.each(sortedByGo)(
    'is that of Go for $length items, $shape, of $keys keys',
    ({ length, keys, shape, up, down }) => {
      const sorted = items(length, keys, shape);
      sort(sorted, (a, b) => a.key < b.key);
      expect(places(sorted)).toBe(up);
      sort(sorted, (a, b) => b.key < a.key);
      expect(places(sorted)).toBe(down);
    },
  );

  test('is an order, of nothing and of one thing too', () => {
    for (const length of [0, 1, 2, 12, 13, 3000]) {
      const sorted = items(length, 1000, 'random');
      sort(sorted, (a, b) => a.key < b.key);
      expect(sorted.map(({ key }) => key)).toEqual(
        items(length, 1000, 'random')
          .map(({ key }) => key)
          .toSorted((a, b) => a - b),
      );
    }
  });
});

function sort(items: Item[], less: (a: Item, b: Item) => boolean): void {
  atOnce(sortAsGo(items, less));
}

function items(length: number, keys: number, shape: (typeof sortedByGo)[number]['shape']): Item[] {
  let random = (length * 31 + keys) >>> 0;
  return Array.from({ length }, (_, at) => {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    const byChance = (random >>> 8) % keys;
    const key = {
      random: byChance,
      rising: Math.floor(Math.floor((at * keys) / length) / 2),
      falling: Math.floor(Math.floor(((length - at) * keys) / length) / 2),
      'nearly sorted': at % 97 === 0 ? byChance : Math.floor(at / 3),
      'a roof': at < Math.floor(length / 2) ? at : length - at,
    }[shape];
    return { key, at };
  });
}

function places(sorted: readonly Item[]): number {
  let hash = 0x811c9dc5;
  for (const character of sorted.map(({ at }) => `${at},`).join(''))
    hash = Math.imul(hash ^ character.charCodeAt(0), 16777619) >>> 0;
  return hash;
}

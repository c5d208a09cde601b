import { describe, expect, test } from '@jest/globals';
import { BytePool, RowIndex } from '../../../../kvstore/tables/index.ts';
import { Random } from '../../../../runtime/random/index.ts';

describe('an index of rows', () => {
  test.each([1, 2, 3])('finds what a map finds, with keys that collide (seed %i)', (seed) => {
    const random = new Random(seed);
    const keys: number[] = [];
    let sought = 0;
    // Few hashes, so that rows lie in long runs.
    const hashOfKey = (key: number): number => ((key % 7) * 0x2000_0003) >>> 0;
    const index = new RowIndex({
      hashOf: (row) => hashOfKey(keys[row] ?? -1),
      isSought: (row) => keys[row] === sought,
    });
    const find = (key: number): number => {
      sought = key;
      return index.find(hashOfKey(key));
    };
    const known = new Map<number, number>();
    for (let step = 0; step < 5000; step++) {
      const key = random.int(300);
      const row = known.get(key);
      expect(find(key)).toBe(row ?? -1);
      if (row === undefined) {
        known.set(key, keys.push(key) - 1);
        index.add(keys.length - 1, hashOfKey(key));
      } else if (random.chance(0.2)) {
        known.set(key, keys.push(key) - 1);
        index.replace(row, keys.length - 1, hashOfKey(key));
      } else {
        known.delete(key);
        index.remove(row, hashOfKey(key));
      }
      expect(index.size).toBe(known.size);
    }
    for (let key = 0; key < 300; key++) expect(find(key)).toBe(known.get(key) ?? -1);
  });

  test('refuses a row that it could not tell from a hash', () => {
    const index = new RowIndex({ hashOf: () => 0, isSought: () => false });
    expect(() => index.add(2 ** 24 - 1, 0)).toThrow(RangeError);
    expect(() => index.remove(3, 0)).toThrow('Row 3 is not in the index');
  });
});

describe('a pool of byte strings', () => {
  test.each([1, 2, 3])('holds equal ones once, and gives each back as it was (seed %i)', (seed) => {
    const random = new Random(seed);
    const pool = new BytePool();
    const held = new Map<string, { id: number; references: number }>();
    for (let step = 0; step < 4000; step++) {
      // Long ones, so that the pool has to move what is left together.
      const head = 'h'.repeat(random.int(200)) + random.int(40);
      const tail = random.chance(0.5) ? '' : `t${random.int(3)}`;
      const scope = random.int(3);
      const name = `${scope} ${head}|${tail}`;
      const known = held.get(name);
      if (known && random.chance(0.7)) {
        pool.release(known.id);
        known.references -= 1;
        if (known.references === 0) held.delete(name);
        continue;
      }
      const bytes = Buffer.from(`xx${head}cut out${tail}yy`);
      const cut = 2 + head.length;
      const id = pool.acquire(bytes, scope, 2, cut, cut + 7, cut + 7 + tail.length);
      if (known) expect(id).toBe(known.id);
      held.set(name, { id, references: (known?.references ?? 0) + 1 });
      expect(pool.size).toBe(held.size);
    }
    for (const [name, { id }] of held) expect(`${pool.scopeOf(id)} ${pool.head(id)}|${pool.tail(id)}`).toBe(name);
    expect(new Set([...held.values()].map(({ id }) => id)).size).toBe(held.size);
    for (const { id, references } of held.values()) for (let i = 0; i < references; i++) pool.release(id);
    expect(pool.size).toBe(0);
  });

  test('knows where the second slice of a text begins in a longer buffer', () => {
    const pool = new BytePool();
    const id = pool.acquire(Buffer.from('pod-abc"}'), 0, 0, 4, 7, 9);
    const at = (text: string): number => pool.startOfTail(id, Buffer.from(text), 0, text.length);
    expect([at('pod-abc"}'), at('pod-x"}'), at('pod-"}'), at('pod"}'), at('pod-abc"]'), at('pot-abc"}')]).toEqual([
      7, 5, 4, -1, -1, -1,
    ]);
    pool.release(id);
    expect(at('pod-abc"}')).toBe(-1);
  });
});

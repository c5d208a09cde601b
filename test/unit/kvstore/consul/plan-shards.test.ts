import { describe, expect, test } from '@jest/globals';
import { ShardMap, planShards } from '../../../../kvstore/consul/watch/plan-shards.ts';
import { Random } from '../../../../runtime/random/index.ts';

const prefix = 'cilium/state/ip/v1/';

function addresses(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}default/10.${i >> 12}.${(i >> 6) & 63}.${i & 63}`).sort();
}

describe('The parts of a large prefix', () => {
  test.each([{ count: 600 }, { count: 10_000 }, { count: 50_000 }])(
    'cover $count addresses, none begins with another, and none is far larger than the others',
    ({ count }) => {
      const names = addresses(count);
      const parts = planShards(prefix, names, 48, 64);
      expect(parts.length).toBeGreaterThan(8);
      expect(parts.length).toBeLessThanOrEqual(48);
      const sizes = parts.map((part) => names.filter((name) => name.startsWith(part)).length);
      expect(sizes.reduce((a, b) => a + b, 0)).toBe(count);
      expect(Math.max(...sizes)).toBeLessThan((count / parts.length) * 8);
    },
  );

  test.each([
    { what: 'nothing', names: [] },
    { what: 'one key', names: [`${prefix}a`] },
    { what: 'a key that all others begin with', names: ['a', 'a1', 'a2', 'a3', 'a4'].map((name) => prefix + name) },
    { what: 'a cut after which Consul would see a space', names: ['a b', 'a c', 'a d', 'ae'].map((n) => prefix + n) },
  ])('are one where there is $what', ({ names }) => {
    expect(planShards(prefix, names, 8, 1).filter((part) => part.endsWith(' '))).toEqual([]);
    if (names.length < 2 || names[0] === `${prefix}a`) expect(planShards(prefix, names, 8, 1)).toEqual([prefix]);
  });

  test('never cut a character in two', () => {
    const names = ['🙂a', '🙂b', '🙃a', '🙃b'].map((name) => prefix + name).sort();
    for (const part of planShards(prefix, names, 8, 1)) expect(part.isWellFormed()).toBe(true);
  });

  test('find a place for any other name, apart from the others, whatever they are', () => {
    const random = new Random(7);
    const name = (): string =>
      prefix + Array.from({ length: 1 + random.int(4) }, () => random.pick(['a', 'b', '/', '1', 'ä', '🙂'])).join('');
    for (let round = 0; round < 300; round++) {
      const names = [...new Set(Array.from({ length: 20 }, name))].sort();
      const map = new ShardMap(
        prefix,
        planShards(prefix, names, 12, 2).map((part) => [part, part] as const),
      );
      for (const known of names) expect(known.startsWith(map.partOf(known) ?? 'none')).toBe(true);
      for (let i = 0; i < 20; i++) {
        const other = name();
        if (map.partOf(other) !== undefined) continue;
        const place = map.placeFor(other);
        if (place === undefined) continue;
        expect(other.startsWith(place) && place.length > prefix.length).toBe(true);
        map.add(place, place);
        const parts = [...map.values()];
        expect(parts.filter((part) => part !== place && (part.startsWith(place) || place.startsWith(part)))).toEqual(
          [],
        );
        expect(map.partOf(other)).toBe(place);
      }
    }
  });
});

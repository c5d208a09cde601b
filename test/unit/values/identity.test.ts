import { describe, expect, test } from '@jest/globals';
import { clusterIdOf, identityRange, isLocalScope, reservedIdentities } from '../../../values/identity/index.ts';

describe('numeric identities', () => {
  test.each([
    { cluster: 0, max: 255, range: { min: 256, max: 65_535 } },
    { cluster: 1, max: 255, range: { min: 65_536, max: 131_071 } },
    { cluster: 255, max: 255, range: { min: 16_711_680, max: 16_777_215 } },
    { cluster: 0, max: 511, range: { min: 256, max: 32_767 } },
    { cluster: 511, max: 511, range: { min: 16_744_448, max: 16_777_215 } },
  ] as const)('of cluster $cluster of at most $max have their own range', ({ cluster, max, range }) => {
    expect(identityRange(cluster, max)).toEqual(range);
    expect([clusterIdOf(range.min, max), clusterIdOf(range.max, max)]).toEqual([cluster, cluster]);
  });

  test('that are reserved belong to no cluster', () => {
    expect(clusterIdOf(reservedIdentities.world)).toBe(0);
  });

  test('of local scope never leave their node', () => {
    expect([isLocalScope(65_536), isLocalScope(0x01000001), isLocalScope(0x02000001)]).toEqual([false, true, true]);
  });
});

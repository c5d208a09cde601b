import { describe, expect, test } from '@jest/globals';
import { CutLinks, planNetwork } from '../../../lab/network/index.ts';
import { defaultTopology } from '../../../lab/topology/index.ts';

describe('links that are cut', () => {
  const links = (): CutLinks => new CutLinks(planNetwork('x', defaultTopology()).sites);

  test('are called by the names of clusters where all of both is cut', () => {
    const cut = links();
    cut.note('west', 'east', true);
    expect(cut.list()).toEqual([{ a: 'east', b: 'west' }]);
    cut.note('east', 'west', false);
    expect(cut.list()).toEqual([]);
  });

  test('are called by their members where some of them were healed', () => {
    const cut = links();
    cut.note('east', 'west', true);
    cut.note('west', 'east/node-1', false);
    cut.note('east/apiserver', 'west', false);
    expect(cut.list()).toEqual([
      { a: 'east/node-2', b: 'west/apiserver' },
      { a: 'east/node-2', b: 'west/node-1' },
      { a: 'east/node-2', b: 'west/node-2' },
    ]);
  });

  test('are listed once inside a cluster, where a node is cut from all others', () => {
    const cut = links();
    cut.note('east/node-1', 'east', true);
    expect(cut.list()).toEqual([
      { a: 'east/apiserver', b: 'east/node-1' },
      { a: 'east/node-1', b: 'east/node-2' },
    ]);
  });

  test.each([
    { a: 'east', b: 'east', says: 'east has no link to itself' },
    { a: 'east', b: 'north', says: 'The lab has no cluster "north"; it has east, west' },
    {
      a: 'east/node-9',
      b: 'west',
      says: 'Cluster east has no member "east/node-9"; it has east/apiserver, east/node-1, east/node-2',
    },
    { a: 'east', b: 'west/node-1/x', says: 'Cluster west has no member "west/node-1/x"' },
  ])('cannot be between $a and $b', ({ a, b, says }) => {
    expect(() => links().note(a, b, true)).toThrow(says);
  });
});

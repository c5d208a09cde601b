import { describe, expect, test } from '@jest/globals';
import { TopologyError, defaultTopology, parseTopology } from '../../../lab/topology/index.ts';

const two = 'clusters: [{ name: east, id: 1 }, { name: west, id: 2 }]';

describe('a topology file', () => {
  test('gives clusters with their address plan, placements and global Services', () => {
    const topology = parseTopology(
      `${two}\nworkloads: { shop/web: { east: 2, west: 1 } }\nservices: { global: [shop/web] }\n`,
      't.yaml',
    );
    expect(topology.clusters).toEqual(defaultTopology().clusters);
    expect(topology.placements).toEqual(
      new Map([
        [
          'shop/web',
          new Map([
            ['east', 2],
            ['west', 1],
          ]),
        ],
      ]),
    );
    expect(topology.globalServices).toEqual(new Set(['shop/web']));
  });

  test('without clusters and Services means two clusters and every Service global', () => {
    expect(parseTopology('kind: LabTopology', 't.yaml')).toEqual(defaultTopology());
  });

  test.each([
    {
      wrong: 'two clusters with one id',
      text: 'clusters: [{ name: a, id: 1 }, { name: b, id: 1 }]',
      says: ['t.yaml: clusters[1].id: 1 is already the id of cluster a'],
    },
    {
      wrong: 'two clusters with one name',
      text: 'clusters: [{ name: a, id: 1 }, { name: a, id: 2 }]',
      says: ['clusters[1].name: a is already the name of another cluster'],
    },
    {
      wrong: 'an id of 0',
      text: 'clusters: [{ name: a, id: 0 }]',
      says: ['clusters[0].id: expected a number from 1 to 255, found 0'],
    },
    {
      wrong: 'an id of 256',
      text: 'clusters: [{ name: a, id: 256 }]',
      says: ['clusters[0].id: expected a number from 1 to 255, found 256'],
    },
    {
      wrong: 'the name default',
      text: 'clusters: [{ name: default, id: 1 }]',
      says: ['clusters[0].name: expected 1–32'],
    },
    {
      wrong: 'overlapping pod CIDRs',
      text: 'clusters: [{ name: a, id: 1, podCIDR: 10.0.0.0/12 }, { name: b, id: 2, podCIDR: 10.4.0.0/16 }]',
      says: ['clusters[1].podCIDR: 10.4.0.0/16 overlaps clusters[0].podCIDR (10.0.0.0/12)'],
    },
    {
      wrong: 'a CIDR with host bits',
      text: 'clusters: [{ name: a, id: 1, podCIDR: 10.0.0.1/16 }]',
      says: ['clusters[0].podCIDR: Prefix "10.0.0.1/16" has host bits set'],
    },
    {
      wrong: 'an unknown cluster in a placement',
      text: `${two}\nworkloads: { shop/web: { north: 1 } }`,
      says: ['workloads["shop/web"]: cluster "north" is not one of east, west'],
    },
    {
      wrong: 'negative replicas',
      text: `${two}\nworkloads: { shop/web: { east: -1 } }`,
      says: ['workloads["shop/web"].east: expected replicas from 0 to 200, found -1'],
    },
    {
      wrong: 'a workload without namespace',
      text: `${two}\nworkloads: { web: { east: 1 } }`,
      says: ['workloads["web"]: expected <namespace>/<name>'],
    },
    { wrong: 'an unknown member', text: `${two}\nservces: {}`, says: ['servces: unknown member'] },
    { wrong: 'a list where a mapping belongs', text: '- a', says: ['the document: expected a mapping'] },
    { wrong: 'text that is no YAML', text: 'clusters: [', says: ['t.yaml:'] },
  ])('is refused with the field named when it has $wrong', ({ text, says }) => {
    const parse = (): unknown => parseTopology(text, 't.yaml');
    expect(parse).toThrow(TopologyError);
    for (const part of says) expect(parse).toThrow(part);
  });

  test('names every problem at once', () => {
    expect(() => parseTopology('clusters: [{ name: A, id: 1 }, { name: b, id: 999 }]', 't.yaml')).toThrow(
      /clusters\[0\]\.name[\s\S]*clusters\[1\]\.id/,
    );
  });
});

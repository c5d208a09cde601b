import { describe, expect, test } from '@jest/globals';
import { membersOf, planNetwork } from '../../../lab/network/index.ts';
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
      wrong: 'nodes called as parts of the lab are',
      text: 'clusters: [{ name: east, id: 1, nodes: [apiserver, router] }]',
      says: [
        't.yaml: clusters[0].nodes[0]: expected a node to be called other than apiserver and router',
        't.yaml: clusters[0].nodes[1]: expected a node to be called other than apiserver and router',
      ],
    },
    {
      wrong: 'a cluster called as a part of the lab is',
      text: 'clusters: [{ name: bpf, id: 1 }, { name: control, id: 2 }]',
      says: [
        't.yaml: clusters[0].name: expected a cluster to be called other than control and bpf',
        't.yaml: clusters[1].name: expected a cluster to be called other than control and bpf',
      ],
    },
    {
      wrong: 'a node twice',
      text: 'clusters: [{ name: a, id: 1, nodes: [n1, n2, n1] }]',
      says: ['clusters[0].nodes[2]: expected distinct names; n1 is already the name of another node'],
    },
    {
      wrong: 'a node that is no name',
      text: 'clusters: [{ name: a, id: 1, nodes: [n1, N_2] }]',
      says: ['clusters[0].nodes[1]: expected 1–40 lower-case letters, digits and dashes, found "N_2"'],
    },
    {
      wrong: 'two nodes that would share a namespace',
      text: 'clusters: [{ name: a, id: 1, nodes: [b-c] }, { name: a-b, id: 2, nodes: [c] }]',
      says: ['clusters[1].nodes[0]: expected names that differ when joined; a-b/c and a/b-c both give a-b-c'],
    },
    {
      wrong: 'a node that would share its namespace with an apiserver',
      text: 'clusters: [{ name: a, id: 1, nodes: [b-apiserver] }, { name: a-b, id: 2 }]',
      says: ['clusters[1].name: expected names that differ when joined; a-b/apiserver and a/b-apiserver'],
    },
    {
      wrong: 'pods in the underlay',
      text: 'clusters: [{ name: a, id: 1, podCIDR: 172.30.0.0/16 }]',
      says: ['clusters[0].podCIDR: 172.30.0.0/16 overlaps clusters[0].underlayCIDR (172.30.1.0/24)'],
    },
    {
      wrong: "pods in the block of another cluster's Services, which it does not name",
      text: 'clusters: [{ name: a, id: 1, podCIDR: 10.129.0.0/16 }, { name: b, id: 2 }]',
      says: ['clusters[1].serviceCIDR: 10.129.0.0/16 overlaps clusters[0].podCIDR (10.129.0.0/16)'],
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
    { wrong: 'several documents', text: `${two}\n---\n${two}`, says: ['t.yaml: expected one document, found several'] },
    { wrong: 'an alias of nothing', text: 'clusters: *nothing', says: ['t.yaml: Unresolved alias'] },
    {
      wrong: 'a value that holds itself',
      text: 'clusters: &all [*all]',
      says: ['t.yaml: Converting circular structure'],
    },
    {
      wrong: 'aliases without end',
      text: ['a: &a [x, x]', 'b: &b [*a, *a]', ...Array.from({ length: 120 }, (_, i) => `c${i}: *b`)].join('\n'),
      says: ['t.yaml: Excessive alias count'],
    },
  ])('is refused with the field named when it has $wrong', ({ text, says }) => {
    const parse = (): unknown => parseTopology(text, 't.yaml');
    expect(parse).toThrow(TopologyError);
    for (const part of says) expect(parse).toThrow(part);
  });

  test.each(['podCIDR', 'serviceCIDR', 'underlayCIDR'])('is refused when its %s can hold no address', (field) => {
    for (const [block, reason] of [
      ['0.0.0.0/8', '0.0.0.0/8 (unspecified addresses)'],
      ['127.0.0.0/8', '127.0.0.0/8 (loopback)'],
      ['127.5.0.0/16', '127.0.0.0/8 (loopback)'],
      ['169.254.0.0/16', '169.254.0.0/16 (link-local)'],
      ['169.0.0.0/8', '169.254.0.0/16 (link-local)'],
      ['224.0.0.0/8', '224.0.0.0/4 (multicast)'],
      ['239.255.0.0/16', '224.0.0.0/4 (multicast)'],
      ['240.0.0.0/8', '240.0.0.0/4 (reserved)'],
      ['255.255.0.0/16', '240.0.0.0/4 (reserved)'],
    ])
      expect(() => parseTopology(`clusters: [{ name: a, id: 1, ${field}: ${block} }]`, 't.yaml')).toThrow(
        `t.yaml: clusters[0].${field}: expected a block of unicast addresses that are routed, such as 10.1.0.0/16; ${block} overlaps ${reason}`,
      );
  });

  test('may use blocks next to the unusable ones, and names that only look like those of the lab', () => {
    const text = `clusters:
      - { name: router, id: 1, nodes: [apiserver-1, node-1], podCIDR: 126.0.0.0/8, serviceCIDR: 128.0.0.0/8, underlayCIDR: 223.255.255.0/24 }
      - { name: apiserver, id: 2, podCIDR: 169.255.0.0/16, serviceCIDR: 169.253.0.0/16, underlayCIDR: 1.0.0.0/24 }`;
    const topology = parseTopology(text, 't.yaml');
    expect(topology.clusters.map(({ nodes }) => nodes)).toEqual([
      ['apiserver-1', 'node-1'],
      ['node-1', 'node-2'],
    ]);
    const { router, sites } = planNetwork('lab', topology);
    const namespaces = [router, ...sites.flatMap((site) => membersOf(site).map(({ netns }) => netns))];
    expect(new Set(namespaces).size).toBe(7);
  });

  test('names every problem at once', () => {
    expect(() => parseTopology('clusters: [{ name: A, id: 1 }, { name: b, id: 999 }]', 't.yaml')).toThrow(
      /clusters\[0\]\.name[\s\S]*clusters\[1\]\.id/,
    );
  });
});

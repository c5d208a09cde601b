import { describe, expect, test } from '@jest/globals';
import {
  NodePrefixes,
  NodeRoutes,
  type OwnNode,
  type PrefixKnowledge,
  ipcacheEntry,
  serviceEntries,
} from '../../../agent/desired/index.ts';
import {
  type IpRow,
  type LocalServiceRecord,
  type NodeRecord,
  mergeServices,
  tunnelEndpointOf,
} from '../../../clustermesh/index.ts';
import type { IpcacheEntry } from '../../../datapath/index.ts';
import { Random } from '../../../runtime/random/index.ts';
import { containsIp, formatPrefix, hostPrefix, parsePrefix, prefixesOverlap } from '../../../values/ip/index.ts';

const own: OwnNode = { cluster: 'east', name: 'e1', ip: '192.168.1.1' };

function node(cluster: string, name: string, ip: string, cidr: string, changes: Partial<NodeRecord> = {}): NodeRecord {
  return {
    name,
    cluster,
    clusterId: cluster === 'east' ? 1 : 2,
    addresses: [{ type: 'InternalIP', ip }],
    podCidrs: [parsePrefix(cidr)],
    healthIps: [],
    ingressIps: [],
    source: '',
    encryptionKey: 0,
    labels: null,
    annotations: null,
    wireguardPublicKey: '',
    bootId: '',
    ...changes,
  };
}

function record(cluster: string, prefix: string, hostIp: string, changes: Partial<IpRow> = {}): IpRow {
  return {
    origin: { cluster, clusterId: cluster === 'east' ? 1 : 2 },
    prefix: prefix.includes('/') ? parsePrefix(prefix) : hostPrefix(prefix),
    hostIp,
    identity: 131_073,
    encryptKey: 0,
    ...changes,
  };
}

function words(entry: IpcacheEntry | undefined): string {
  if (!entry) return 'nothing';
  const { prefix, identity, tunnelEndpoint, encryptKey, remoteCluster } = entry;
  const parts = [formatPrefix(prefix), `is ${identity}`];
  if (tunnelEndpoint !== undefined) parts.push(`via ${tunnelEndpoint}`);
  if (encryptKey !== 0) parts.push(`key ${encryptKey}`);
  if (remoteCluster) parts.push('remote');
  return parts.join(' ');
}

const e1 = node('east', 'e1', own.ip, '10.1.1.0/24');
const e2 = node('east', 'e2', '192.168.1.2', '10.1.2.0/24');
const w1 = node('west', 'w1', '192.168.2.1', '10.2.1.0/24', {
  addresses: [
    { type: 'CiliumInternalIP', ip: '10.2.1.1' },
    { type: 'ExternalIP', ip: '203.0.113.1' },
    { type: 'InternalIP', ip: '192.168.2.1' },
  ],
  healthIps: ['10.2.1.9'],
  ingressIps: ['10.2.1.8'],
  encryptionKey: 3,
});

function prefixes(...nodes: readonly NodeRecord[]): NodePrefixes {
  const all = new NodePrefixes(own);
  for (const one of nodes) all.set(`${one.cluster}/${one.name}`, one);
  return all;
}

describe('the ipcache entry of a prefix', () => {
  const cases: readonly {
    readonly when: string;
    readonly prefix: string;
    readonly known?: Partial<PrefixKnowledge>;
    readonly nodes?: readonly NodeRecord[];
    readonly entry: string;
  }[] = [
    { when: 'nothing is known', prefix: '10.9.9.9/32', entry: 'nothing' },
    {
      when: 'an endpoint of this node has it',
      prefix: '10.1.1.5/32',
      known: { local: { identity: 65_540 }, ip: record('west', '10.1.1.5', '192.168.2.1') },
      entry: '10.1.1.5/32 is 65540',
    },
    {
      when: 'a pod of another cluster has it',
      prefix: '10.2.1.5/32',
      known: { ip: record('west', '10.2.1.5', '192.168.2.1', { encryptKey: 255 }) },
      entry: '10.2.1.5/32 is 131073 via 192.168.2.1 key 255',
    },
    {
      when: 'a pod of our own cluster on another node has it',
      prefix: '10.1.2.5/32',
      known: { ip: record('east', '10.1.2.5', '192.168.1.2', { identity: 65_541 }) },
      entry: '10.1.2.5/32 is 65541 via 192.168.1.2',
    },
    {
      when: 'the store says that it is on this node',
      prefix: '10.1.1.6/32',
      known: { ip: record('east', '10.1.1.6', own.ip, { identity: 65_541 }) },
      entry: '10.1.1.6/32 is 65541',
    },
    {
      when: 'another cluster says that it is on our node',
      prefix: '10.1.1.6/32',
      known: { ip: record('west', '10.1.1.6', own.ip) },
      nodes: [e1, w1],
      entry: 'nothing',
    },
    {
      when: 'another cluster claims our node’s address',
      prefix: '192.168.1.1/32',
      known: { ip: record('west', '192.168.1.1', '192.168.2.1') },
      entry: 'nothing',
    },
    {
      when: 'another cluster claims the address of a node of ours',
      prefix: '192.168.1.2/32',
      known: { ip: record('west', '192.168.1.2', '192.168.2.1') },
      nodes: [e2],
      entry: '192.168.1.2/32 is 6 via 192.168.1.2',
    },
    {
      when: 'a record names no host',
      prefix: '10.2.0.0/16',
      known: { ip: record('west', '10.2.0.0/16', '') },
      entry: '10.2.0.0/16 is 131073',
    },
    {
      when: 'a record’s host is IPv6',
      prefix: '10.2.1.5/32',
      known: { ip: record('west', '10.2.1.5', 'fd00::1') },
      entry: '10.2.1.5/32 is 131073',
    },
    { when: 'it is our own address', prefix: '192.168.1.1/32', nodes: [e1], entry: '192.168.1.1/32 is 1' },
    {
      when: 'it is a node of our cluster',
      prefix: '192.168.1.2/32',
      nodes: [e2],
      entry: '192.168.1.2/32 is 6 via 192.168.1.2',
    },
    {
      when: 'it is a node of another cluster',
      prefix: '203.0.113.1/32',
      nodes: [w1],
      entry: '203.0.113.1/32 is 6 via 192.168.2.1 remote',
    },
    {
      when: 'it is our own pod CIDR',
      prefix: '10.1.1.0/24',
      nodes: [e1, w1],
      entry: '10.1.1.0/24 is 2 via 192.168.1.1',
    },
    {
      when: 'it is the pod CIDR of another node',
      prefix: '10.2.1.0/24',
      nodes: [e1, w1],
      entry: '10.2.1.0/24 is 2 via 192.168.2.1 key 3',
    },
    {
      when: 'it is the health address of another node',
      prefix: '10.2.1.9/32',
      nodes: [w1],
      entry: '10.2.1.9/32 is 4 via 192.168.2.1 key 3',
    },
    {
      when: 'it is the ingress address of another node',
      prefix: '10.2.1.8/32',
      nodes: [w1],
      entry: '10.2.1.8/32 is 8 via 192.168.2.1 key 3',
    },
    {
      when: 'two clusters announce one pod CIDR',
      prefix: '10.1.2.0/24',
      nodes: [node('west', 'thief', '192.168.2.9', '10.1.2.0/24'), e2],
      entry: '10.1.2.0/24 is 2 via 192.168.1.2',
    },
    {
      when: 'another cluster announces our pod CIDR',
      prefix: '10.1.1.0/24',
      nodes: [node('west', 'thief', '192.168.2.9', '10.1.1.0/24'), e1],
      entry: '10.1.1.0/24 is 2 via 192.168.1.1',
    },
    {
      when: 'the node that announces a pod CIDR has no address to tunnel to',
      prefix: '10.2.1.0/24',
      nodes: [{ ...w1, addresses: [] }],
      entry: 'nothing',
    },
    {
      when: 'a node of another cluster claims our own address',
      prefix: '192.168.1.1/32',
      nodes: [node('west', 'thief', own.ip, '10.2.9.0/24')],
      entry: 'nothing',
    },
  ];
  test.each(cases)('when $when: $entry', ({ prefix, known = {}, nodes = [], entry }) => {
    const knowledge = { local: undefined, ip: undefined, node: prefixes(...nodes).get(prefix), ...known };
    expect(words(ipcacheEntry(prefix, knowledge, own))).toBe(entry);
  });
});

describe('prefixes of nodes', () => {
  test('are looked at again when they come, change and go', () => {
    const all = new NodePrefixes(own);
    expect(all.set('west/w1', w1).toSorted()).toEqual([
      '10.2.1.0/24',
      '10.2.1.1/32',
      '10.2.1.8/32',
      '10.2.1.9/32',
      '192.168.2.1/32',
      '203.0.113.1/32',
    ]);
    const moved = node('west', 'w1', '192.168.2.7', '10.2.1.0/24');
    expect(all.set('west/w1', moved)).toContain('192.168.2.1/32');
    expect(all.get('192.168.2.1/32')).toBeUndefined();
    expect(all.get('192.168.2.7/32')?.role).toBe('address');
    expect(all.set('west/w1', undefined).toSorted()).toEqual(['10.2.1.0/24', '192.168.2.7/32']);
    expect([...all.prefixes()]).toEqual([]);
  });
});

describe('routes of a node', () => {
  const keyOf = ({ cluster, name }: NodeRecord): string => `${cluster}/${name}`;
  const routed = (routes: NodeRoutes): string[] =>
    [...routes.destinations()].toSorted().flatMap((text) => {
      const route = routes.get(text, { name: 'isth0', mtu: 1450 });
      if (!route) return [];
      const { destination, device, mtu, source } = route;
      return [`${formatPrefix(destination)} ${device} ${mtu} ${source}`];
    });
  const shown = (...nodes: readonly NodeRecord[]): string[] => {
    const routes = new NodeRoutes(own);
    for (const known of nodes) routes.set(keyOf(known), known);
    return routed(routes);
  };

  test('lead to the pod CIDRs of all other nodes, in order', () => {
    const expected = ['10.1.2.0/24 isth0 1450 192.168.1.1', '10.2.1.0/24 isth0 1450 192.168.1.1'];
    expect(shown(w1, e2, e1)).toEqual(expected);
    expect(shown(e1, e2, w1)).toEqual(expected);
  });

  test.each([
    { what: 'part of our own pod CIDR', cidr: '10.1.1.128/25' },
    { what: 'a block around our own pod CIDR', cidr: '10.1.0.0/16' },
    { what: 'everything', cidr: '0.0.0.0/0' },
    { what: 'the network of the nodes', cidr: '192.168.0.0/16' },
  ])('do not lead to $what, whoever announces it', ({ cidr }) => {
    expect(shown(e1, e2, node('west', 'thief', '192.168.2.9', cidr))).toEqual(['10.1.2.0/24 isth0 1450 192.168.1.1']);
  });

  test('follow nodes that come, move and go as if each time all of them were looked at, and say which may differ', () => {
    const random = new Random(11);
    const routes = new NodeRoutes(own);
    const known = new Map<string, NodeRecord>([[keyOf(e1), e1]]);
    routes.set(keyOf(e1), e1);
    const cidr = (): string => {
      const length = random.pick([8, 16, 24, 24, 24, 28]);
      return formatPrefix(
        parsePrefix(`10.${random.int(4)}.${random.int(4)}.${random.int(256)}/${length}`, { strict: false }),
      );
    };
    for (let round = 0; round < 2_000; round++) {
      // Some endpoints lie in pod CIDRs of others, and some nodes share what they announce.
      const ip = random.chance(0.5) ? `10.${random.int(4)}.${random.int(4)}.9` : `192.168.2.${random.int(9)}`;
      const changed =
        round % 50 === 49 ? node('east', 'e1', own.ip, cidr()) : node('west', `w${random.int(12)}`, ip, cidr());
      const before = new Set(routed(routes));
      const isGone = changed.cluster === 'west' && random.chance(0.2);
      const touched = new Set(routes.set(keyOf(changed), isGone ? undefined : changed));
      if (isGone) known.delete(keyOf(changed));
      else known.set(keyOf(changed), changed);
      const after = routed(routes);
      expect(after).toEqual(expected([...known.values()]));
      const differ = [...before, ...after].filter((line) => before.has(line) !== after.includes(line));
      for (const line of differ) expect(touched).toContain(line.split(' ')[0]);
    }

    /** The rules, one after another, over all nodes. */
    function expected(nodes: readonly NodeRecord[]): string[] {
      const ownCidrs = nodes.filter((one) => keyOf(one) === 'east/e1').flatMap(({ podCidrs }) => podCidrs);
      const endpoints = [own.ip, ...nodes.map((one) => tunnelEndpointOf(one) ?? own.ip)];
      const texts = nodes
        .filter((one) => keyOf(one) !== 'east/e1')
        .flatMap(({ podCidrs }) => podCidrs)
        .filter((block) => !ownCidrs.some((mine) => prefixesOverlap(mine, block)))
        .filter((block) => !endpoints.some((ip) => containsIp(block, ip)))
        .map((block) => `${formatPrefix(block)} isth0 1450 ${own.ip}`);
      return [...new Set(texts)].toSorted();
    }
  });
});

describe('entries of a Service', () => {
  const service: LocalServiceRecord = {
    namespace: 'shop',
    name: 'web',
    uid: '',
    type: 'LoadBalancer',
    clusterIps: ['10.96.0.1'],
    headless: false,
    ports: [
      { name: 'http', port: 80, protocol: 'TCP' },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ],
    externalIps: ['198.51.100.1'],
    loadBalancerIps: ['203.0.113.9'],
    loadBalancerSourceRanges: [],
    sessionAffinity: 'None',
    annotations: {},
    hasSelector: true,
  };
  const slice = {
    namespace: 'shop',
    service: 'web',
    slice: 'web-1',
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: [
      { addresses: ['10.1.1.5'], ready: true, serving: true, terminating: false, nodeName: 'e1' },
      { addresses: ['10.1.2.5'], ready: false, serving: true, terminating: true, nodeName: 'e2' },
      { addresses: ['fd00::5'], ready: true, serving: true, terminating: false, nodeName: 'e1' },
    ],
  };
  const shown = (changes: Partial<LocalServiceRecord>): string[] =>
    serviceEntries(mergeServices('east', { ...service, ...changes }, [slice], []), own).map(
      ({ address, port, protocol, backends, affinitySeconds }) =>
        `${address}:${port}/${protocol}${affinitySeconds === undefined ? '' : ` for ${affinitySeconds}s`} → ${backends
          .map((backend) => `${backend.address}:${backend.port}${backend.state === 'active' ? '' : '†'}`)
          .join(' ')}`,
    );

  test('are one for each address and port, sorted, also where nobody answers', () => {
    expect(shown({})).toEqual([
      '10.96.0.1:53/UDP → ',
      '10.96.0.1:80/TCP → 10.1.1.5:8080 10.1.2.5:8080†',
      '198.51.100.1:53/UDP → ',
      '198.51.100.1:80/TCP → 10.1.1.5:8080 10.1.2.5:8080†',
      '203.0.113.9:53/UDP → ',
      '203.0.113.9:80/TCP → 10.1.1.5:8080 10.1.2.5:8080†',
    ]);
  });

  test('follow the traffic policy of their side', () => {
    const local = { ports: service.ports.slice(0, 1), loadBalancerIps: [] };
    expect(shown({ ...local, internalTrafficPolicy: 'Local' })).toEqual([
      '10.96.0.1:80/TCP → 10.1.1.5:8080',
      '198.51.100.1:80/TCP → 10.1.1.5:8080 10.1.2.5:8080†',
    ]);
    expect(shown({ ...local, externalTrafficPolicy: 'Local' })).toEqual([
      '10.96.0.1:80/TCP → 10.1.1.5:8080 10.1.2.5:8080†',
      '198.51.100.1:80/TCP → 10.1.1.5:8080',
    ]);
  });

  test('carry ClientIP affinity, three hours unless told', () => {
    const one = { ports: service.ports.slice(0, 1), loadBalancerIps: [], externalIps: [], sessionAffinity: 'ClientIP' };
    expect(shown(one)).toEqual(['10.96.0.1:80/TCP for 10800s → 10.1.1.5:8080 10.1.2.5:8080†']);
    expect(shown({ ...one, sessionAffinityTimeoutSeconds: 5 })[0]).toContain('for 5s');
  });

  test('are none for headless Services and ExternalNames', () => {
    expect(shown({ headless: true })).toEqual([]);
    expect(shown({ type: 'ExternalName' })).toEqual([]);
  });

  test('of an IPv6 address have IPv6 backends', () => {
    expect(
      shown({ clusterIps: ['fd00::1'], externalIps: [], loadBalancerIps: [], ports: service.ports.slice(0, 1) }),
    ).toEqual(['fd00::1:80/TCP → fd00::5:8080']);
  });
});

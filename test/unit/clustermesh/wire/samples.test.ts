import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import {
  type Layout,
  type RemoteOrigin,
  type Resource,
  cacheKeyOf,
  checkClusterConfig,
  clusterConfigKey,
  decodeClusterConfig,
  decodeIdentity,
  decodeIp,
  decodeNode,
  decodeService,
  decodeTime,
  encodeClusterConfig,
  encodeIdentity,
  encodeIp,
  encodeNode,
  encodeService,
  heartbeatKey,
  keyOfIdentity,
  keyOfIp,
  keyOfNode,
  keyOfService,
  syncedKey,
  syncedPrefix,
  watchPrefix,
} from '../../../../clustermesh/index.ts';

interface Line {
  readonly key: string;
  readonly value?: string;
}

const cluster3: RemoteOrigin = { cluster: 'cluster3', clusterId: 3 };
const cluster1: RemoteOrigin = { cluster: 'cluster-001', clusterId: 1 };
const state = linesOf('cilium-state-sample.jsonl');
const cache = linesOf('cilium-cache-sample.jsonl');

function linesOf(file: string): Line[] {
  const text = readFileSync(new URL(`../../../fixtures/cilium/${file}`, import.meta.url), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

function under(lines: readonly Line[], resource: Resource, cluster: string, layout: Layout): [string, string][] {
  const prefix = watchPrefix(resource, cluster, layout);
  return lines
    .filter(({ key }) => key.startsWith(prefix))
    .map(({ key, value }) => [key.slice(prefix.length), value ?? '']);
}

const sets = [
  { name: 'cilium/state of cluster3', lines: state, origin: cluster3, layout: 'state' as const },
  { name: 'cilium/cache of cluster3', lines: cache, origin: cluster3, layout: 'cache' as const },
  { name: 'cilium/cache of cluster-001', lines: cache, origin: cluster1, layout: 'cache' as const },
];

describe.each(sets)('What Cilium wrote under $name', ({ lines, origin, layout }) => {
  const { cluster } = origin;

  test('holds nodes that decode and encode to the same bytes', () => {
    const nodes = under(lines, 'nodes', cluster, layout);
    expect(nodes).toHaveLength(3);
    for (const [name, value] of nodes) {
      const record = decodeNode(name, value, origin);
      expect(encodeNode(record)).toBe(value);
      expect(keyOfNode(record)).toBe(`cilium/state/nodes/v1/${cluster}/${name}`);
    }
  });

  test('holds addresses that decode and encode to the same bytes', () => {
    const ips = under(lines, 'ip', cluster, layout);
    expect(ips.length).toBeGreaterThanOrEqual(20);
    for (const [suffix, value] of ips) {
      const record = decodeIp(suffix, value, origin);
      expect(encodeIp(record)).toBe(value);
      expect(keyOfIp(record)).toBe(`cilium/state/ip/v1/default/${suffix}`);
    }
  });

  test('holds identities that decode and encode to the same bytes', () => {
    const identities = under(lines, 'identities', cluster, layout);
    expect(identities.length).toBeGreaterThanOrEqual(8);
    for (const [suffix, value] of identities) {
      const record = decodeIdentity(suffix, value, origin);
      expect(encodeIdentity(record)).toBe(value);
      expect(keyOfIdentity(record)).toBe(`cilium/state/identities/v1/id/${suffix}`);
    }
  });

  test('holds services that decode and encode to the same bytes', () => {
    const services = under(lines, 'services', cluster, layout);
    expect(services.length).toBeGreaterThanOrEqual(4);
    for (const [suffix, value] of services) {
      const record = decodeService(suffix, value, origin);
      expect(encodeService(record)).toBe(value);
      expect(keyOfService(record)).toBe(`cilium/state/services/v1/${cluster}/${suffix}`);
    }
  });

  test('holds a cluster config that decodes, passes the rules and encodes to the same bytes', () => {
    const key = clusterConfigKey(cluster);
    const value = lines.find((line) => line.key === key)?.value ?? '';
    const record = decodeClusterConfig(key, value);
    expect(encodeClusterConfig(record)).toBe(value);
    checkClusterConfig(cluster, record, { clusterId: 9 });
    expect(record).toMatchObject({ id: origin.clusterId, syncedCanaries: true, cached: layout === 'cache' });
  });

  test('holds a canary for each resource, and a heartbeat', () => {
    const keys = lines.map(({ key }) => key).filter((key) => key.startsWith(syncedPrefix(cluster)));
    const resources = ['endpointslices', 'identities', 'ip', 'nodes', 'serviceexports', 'services'] as const;
    expect(keys).toEqual(resources.map((resource) => syncedKey(cluster, resource, layout)));
    for (const line of lines.filter(({ key }) => keys.includes(key) || key === heartbeatKey))
      expect(decodeTime(line.value ?? '')).toBeGreaterThan(0);
  });
});

test('Every state key of the sample is found in the cache under its mapped key with the same bytes', () => {
  const cached = new Map(cache.map((line) => [line.key, line]));
  const copied = state.filter(({ key }) => key.startsWith('cilium/state/'));
  expect(copied.length).toBeGreaterThan(60);
  for (const line of copied)
    expect(cached.get(cacheKeyOf(line.key, 'cluster3'))).toEqual({ ...line, key: cacheKeyOf(line.key, 'cluster3') });
});

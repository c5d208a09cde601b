import { readFileSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import {
  type Layout,
  type RemoteOrigin,
  type Resource,
  cacheKeyOf,
  checkClusterConfig,
  clusterConfigKey,
  decodeClusterConfig,
  decodeEndpointSlice,
  decodeIdentity,
  decodeIp,
  decodeNode,
  decodeService,
  decodeServiceExport,
  decodeTime,
  encodeClusterConfig,
  encodeEndpointSlice,
  encodeIdentity,
  encodeIp,
  encodeNode,
  encodeService,
  encodeServiceExport,
  heartbeatKey,
  keyOfEndpointSlice,
  keyOfIdentity,
  keyOfIp,
  keyOfNode,
  keyOfService,
  keyOfServiceExport,
  resources,
  syncedKey,
  syncedPrefix,
  watchPrefix,
} from '../../../../clustermesh/index.ts';

interface Line {
  readonly key: string;
  readonly value?: string;
  readonly valueBase64?: string;
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

  test('holds EndpointSlices that decode and encode to the same bytes before compression', () => {
    const prefix = watchPrefix('endpointslices', cluster, layout);
    const slices = lines.filter(({ key }) => key.startsWith(prefix));
    expect(slices.length).toBe(cluster === 'cluster3' ? 11 : 0);
    for (const { key, valueBase64 = '' } of slices) {
      const suffix = key.slice(prefix.length);
      const value = Buffer.from(valueBase64, 'base64');
      const record = decodeEndpointSlice(suffix, value, origin);
      expect(zstdDecompressSync(encodeEndpointSlice(record))).toEqual(zstdDecompressSync(value));
      expect(keyOfEndpointSlice(record)).toBe(`cilium/state/endpointslices/v1/${cluster}/${suffix}`);
    }
  });

  test('holds service exports that decode and encode to the same bytes', () => {
    const exports = under(lines, 'serviceexports', cluster, layout);
    expect(exports.length).toBe(cluster === 'cluster3' ? 4 : 0);
    for (const [suffix, value] of exports) {
      const record = decodeServiceExport(suffix, value, origin);
      expect(encodeServiceExport(record)).toBe(value);
      expect(keyOfServiceExport(record)).toBe(`cilium/state/serviceexports/v1/${cluster}/${suffix}`);
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
    expect(keys).toEqual(resources.toSorted().map((resource) => syncedKey(cluster, resource, layout)));
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

import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import {
  type IpRecord,
  type NodeRecord,
  clusterConfigKey,
  clusterServiceOf,
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
  serviceSettings,
  syncedKey,
} from '../../../../clustermesh/index.ts';
import { type EndpointSlice, type Service, parseManifests, serviceNameLabel } from '../../../../kubernetes/index.ts';
import { Harness } from './harness.ts';
import { hostPrefix, isIp, parseIp, parsePrefix } from '../../../../values/ip/index.ts';

/**
 * The objects of the file were given to a real Cilium apiserver, and the sample is what it stored. Here our converters and
 * encoders get the same objects. Cilium's own kinds are converted below, since isthmus has no converter for them: its
 * agents write nodes and addresses from what they know themselves.
 */
const fixtures = new URL('../../../fixtures/cilium/', import.meta.url);
const objectsText = readFileSync(new URL('cilium-state-objects.yaml', fixtures), 'utf8');
const cluster = { name: 'cluster3', id: 3 };

const stored = new Map(
  readFileSync(new URL('cilium-state-sample.jsonl', fixtures), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { key: string; value?: string })
    .map(({ key, value }) => [key, value]),
);

function storedUnder(prefix: string): [string, string | undefined][] {
  return [...stored].filter(([key]) => key.startsWith(prefix));
}

// The shape of Cilium's kinds, as far as the fixture uses it.
interface CiliumObject {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  readonly spec: {
    readonly addresses: readonly { readonly ip: string; readonly type: string }[];
    readonly bootid: string;
    readonly encryption: { readonly key: number };
    readonly health: { readonly ipv4?: string; readonly ipv6?: string };
    readonly ingress: { readonly ipv4?: string; readonly ipv6?: string };
    readonly ipam: {
      readonly podCIDRs: readonly string[];
      readonly pools?: { readonly allocated: readonly { readonly cidrs: readonly string[] }[] };
    };
  };
  readonly 'security-labels': Record<string, string>;
  readonly status: {
    readonly identity: { readonly id: number };
    readonly networking: {
      readonly addressing: readonly { readonly ipv4?: string; readonly ipv6?: string }[];
      readonly node: string;
    };
    readonly encryption: { readonly key: number };
    readonly 'service-account'?: string;
    readonly 'named-ports'?: readonly { readonly name: string; readonly port: number; readonly protocol: string }[];
  };
}

const ciliumObjects = parseAllDocuments(objectsText).map((document) => document.toJS() as CiliumObject);
const ofKind = (kind: string): CiliumObject[] => ciliumObjects.filter((object) => object.kind === kind);

function nodeRecord({ metadata, spec }: CiliumObject): NodeRecord {
  const cidrs = [...spec.ipam.podCIDRs, ...(spec.ipam.pools?.allocated ?? []).flatMap((pool) => pool.cidrs)];
  return {
    name: metadata.name,
    cluster: cluster.name,
    clusterId: cluster.id,
    addresses: spec.addresses.filter(({ ip }) => isIp(ip)).map(({ type, ip }) => ({ type, ip: parseIp(ip) })),
    podCidrs: cidrs.map((cidr) => parsePrefix(cidr)),
    healthIps: [spec.health.ipv4, spec.health.ipv6].filter((ip) => ip !== undefined),
    ingressIps: [spec.ingress.ipv4, spec.ingress.ipv6].filter((ip) => ip !== undefined),
    source: 'custom-resource',
    encryptionKey: spec.encryption.key,
    labels: metadata.labels ?? null,
    annotations: metadata.annotations ?? null,
    wireguardPublicKey: metadata.annotations?.['network.cilium.io/wg-pub-key'] ?? '',
    bootId: spec.bootid,
  };
}

function ipRecords({ metadata, status }: CiliumObject): IpRecord[] {
  return status.networking.addressing
    .flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6])
    .filter((ip) => ip !== undefined)
    .map((ip) => ({
      prefix: hostPrefix(ip),
      cidr: false,
      hostIp: status.networking.node,
      identity: status.identity.id,
      encryptKey: status.encryption.key,
      metadata: '',
      namespace: metadata.namespace ?? '',
      podName: metadata.name,
      serviceAccount: status['service-account'] ?? '',
      namedPorts: status['named-ports'] ?? [],
    }));
}

describe('From the objects that a real Cilium was given, ours writes the same bytes', () => {
  test('of nodes, as Cilium 1.20 does: without NodeIdentity', () => {
    const ours = ofKind('CiliumNode').map(nodeRecord);
    expect(new Map(ours.map((record) => [keyOfNode(record), encodeNode(record)]))).toEqual(
      new Map(storedUnder('cilium/state/nodes/')),
    );
  });

  test('of nodes, as Cilium 1.19 does: with NodeIdentity 0 before the WireGuard key', () => {
    const [first] = ofKind('CiliumNode').map(nodeRecord);
    if (!first) throw new Error('the fixture has nodes');
    const expected = stored.get(keyOfNode(first))?.replace('"WireguardPubKey"', '"NodeIdentity":0,"WireguardPubKey"');
    expect(encodeNode({ ...first, nodeIdentity: 0 })).toBe(expected);
  });

  test('of identities', () => {
    const ours = ofKind('CiliumIdentity').map((object) => {
      const labels = Object.entries(object['security-labels']).map(([key, value]) => ({
        source: key.slice(0, key.indexOf(':')),
        key: key.slice(key.indexOf(':') + 1),
        value,
      }));
      return [keyOfIdentity({ id: Number(object.metadata.name) }), encodeIdentity({ labels })] as const;
    });
    expect(new Map(ours)).toEqual(new Map(storedUnder('cilium/state/identities/')));
  });

  test('of addresses, named ports in the given order', () => {
    const ours = ofKind('CiliumEndpoint').flatMap(ipRecords);
    expect(ours.length).toBeGreaterThan(20);
    expect(new Map(ours.map((record) => [keyOfIp(record), encodeIp(record)]))).toEqual(
      new Map(storedUnder('cilium/state/ip/')),
    );
  });

  test('of shared global services, and of no others', () => {
    const { objects, errors } = parseManifests('cilium-state-objects.yaml', objectsText);
    expect(errors).toEqual([]);
    const slices = objects.filter((object): object is EndpointSlice => object.kind === 'EndpointSlice');
    const ours = objects
      .filter((object): object is Service => object.kind === 'Service')
      .filter((service) => serviceSettings(service.metadata.annotations).shared)
      .map((service) => {
        const { namespace, name } = service.metadata;
        const own = slices.filter(
          ({ metadata }) => metadata.namespace === namespace && metadata.labels[serviceNameLabel] === name,
        );
        const record = clusterServiceOf(service, own, cluster);
        return [keyOfService(record), encodeService(record)] as const;
      });
    expect(new Map(ours)).toEqual(new Map(storedUnder('cilium/state/services/')));
  });

  test('of services also as a whole process, from the manifests to the store', async () => {
    await using it = new Harness();
    const { objects } = parseManifests('cilium-state-objects.yaml', objectsText);
    it.add(...objects.filter(({ kind }) => it.source.kinds.includes(kind)));
    it.source.markSynced();
    await it.start({ clusterName: 'cluster3', clusterId: 3 });
    const prefix = 'cilium/state/services/';
    const expected = storedUnder(prefix).map(([key, value]) => [key.slice(prefix.length), value]);
    expect(await it.stored(prefix)).toEqual(Object.fromEntries(expected));
    expect(await it.keys('isthmus/v1/services/')).toHaveLength(8);
  });

  test('of the cluster config, when all that Cilium exports is advertised', () => {
    const record = {
      id: 3,
      syncedCanaries: true,
      cached: false,
      maxConnectedClusters: 255,
      serviceExportsEnabled: true,
      endpointSlicesExportMode: 'services-and-endpointslices',
    };
    expect(encodeClusterConfig(record)).toBe(stored.get(clusterConfigKey('cluster3')));
  });

  test('under keys of canaries and heartbeat that it has too', () => {
    const keys = (['nodes', 'ip', 'identities', 'services'] as const).map((resource) =>
      syncedKey('cluster3', resource),
    );
    for (const key of [...keys, heartbeatKey]) expect(stored.has(key)).toBe(true);
  });
});

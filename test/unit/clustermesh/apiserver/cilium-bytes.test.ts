import { readFileSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from '@jest/globals';
import {
  clusterConfigKey,
  decodeNode,
  encodeNode,
  heartbeatKey,
  resources,
  syncedKey,
} from '../../../../clustermesh/index.ts';
import { type KubernetesObject, followedKinds, parseManifests } from '../../../../kubernetes/index.ts';
import { Harness } from './harness.ts';

/**
 * The objects of the file were given to a real Cilium apiserver, and the sample is what it stored. Here a whole apiserver
 * of ours gets the same objects.
 */
const fixtures = new URL('../../../fixtures/cilium/', import.meta.url);
const { objects, errors } = parseManifests(
  'cilium-state-objects.yaml',
  readFileSync(new URL('cilium-state-objects.yaml', fixtures), 'utf8'),
);

interface Line {
  readonly key: string;
  readonly value?: string;
  readonly valueBase64?: string;
}

const lines = readFileSync(new URL('cilium-state-sample.jsonl', fixtures), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Line);

/** A value as it is compared: decompressed where it was compressed, and without the times of its writing. */
function comparable(key: string, value: Uint8Array): string {
  if (key.startsWith('cilium/state/endpointslices/')) return zstdDecompressSync(value).toString('hex');
  const text = Buffer.from(value).toString();
  if (key.startsWith('cilium/synced/') || key === heartbeatKey) return 'a time';
  return text.replace(/("exportCreationTimestamp":)"[^"]*"/, '$1"a time"');
}

const sample = new Map(
  lines.map(({ key, value, valueBase64 }) => [
    key,
    comparable(key, value === undefined ? Buffer.from(valueBase64 ?? '', 'base64') : Buffer.from(value)),
  ]),
);

async function published(
  given: readonly KubernetesObject[],
  ciliumEndpointSlices: boolean,
): Promise<Map<string, string>> {
  await using it = new Harness(followedKinds({ mode: 'cilium', ciliumEndpointSlices }));
  it.add(...given.filter(({ kind }) => it.source.kinds.includes(kind)));
  it.source.markSynced();
  await it.start({ clusterName: 'cluster3', clusterId: 3, serviceExports: true });
  await it.clock.advance(1_000);
  expect(it.apiserver.status()).toMatchObject({ mode: 'cilium', ready: true, waitingFor: [], errors: [] });
  const found = await it.bytes('');
  return new Map([...found].map(([key, value]) => [key, comparable(key, value)]));
}

/** The endpoints of the file as an operator of Cilium would batch them: by namespace, two in a slice. */
function batched(): KubernetesObject[] {
  const endpoints = objects.filter((object) => object.kind === 'CiliumEndpoint');
  const namespaces = new Set(endpoints.map(({ metadata }) => metadata.namespace));
  return [...namespaces].flatMap((namespace) => {
    const inside = endpoints.filter(({ metadata }) => metadata.namespace === namespace);
    return Array.from({ length: Math.ceil(inside.length / 2) }, (_, i) => ({
      kind: 'CiliumEndpointSlice' as const,
      metadata: { name: `ces-${namespace}-${i}`, namespace: '', uid: '', labels: {}, annotations: {} },
      namespace,
      endpoints: inside.slice(2 * i, 2 * i + 2).map(({ metadata, status }) => ({ name: metadata.name, ...status })),
    }));
  });
}

describe('From the objects that a real Cilium was given, a whole apiserver writes the same store', () => {
  let ours: ReadonlyMap<string, string>;
  beforeAll(async () => {
    expect(errors).toEqual([]);
    ours = await published(objects, false);
  });

  test.each(['nodes', 'identities', 'ip', 'services', 'endpointslices', 'serviceexports'])('of %s', (resource) => {
    const under = (all: ReadonlyMap<string, string>): [string, string][] =>
      [...all].filter(([key]) => key.startsWith(`cilium/state/${resource}/`));
    expect(under(sample).length).toBeGreaterThan(2);
    expect(under(ours)).toEqual(under(sample));
  });

  test('of every key, with six canaries, heartbeat and cluster config, and no record of our own', () => {
    expect([...ours]).toEqual([...sample].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    for (const resource of resources) expect(ours.has(syncedKey('cluster3', resource))).toBe(true);
    expect(ours.get(clusterConfigKey('cluster3'))).toContain('"serviceExportsEnabled":true');
  });

  test('also when endpoints come in slices', async () => {
    const slices = batched();
    expect(slices.length).toBeGreaterThan(8);
    expect(await published([...objects, ...slices], true)).toEqual(ours);
  });

  test('but for a node as Cilium 1.19 writes it: with NodeIdentity 0 before the WireGuard key', () => {
    const [key, value] = [...sample].find(([found]) => found.startsWith('cilium/state/nodes/')) ?? ['', ''];
    const record = decodeNode(key, value);
    expect(encodeNode({ ...record, nodeIdentity: 0 })).toBe(
      value.replace('"WireguardPubKey"', '"NodeIdentity":0,"WireguardPubKey"'),
    );
  });
});

import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { type KubernetesObject, normaliseObject, readManifests } from '../../../kubernetes/index.ts';

const sample = fileURLToPath(new URL('../../fixtures/cilium/cilium-state-objects.yaml', import.meta.url));

function read(raw: unknown): KubernetesObject {
  const normalised = normaliseObject(raw);
  if (normalised.type !== 'object') throw new Error(normalised.type);
  return normalised.object;
}

describe('What Cilium keeps in Kubernetes', () => {
  test('is read whole from objects that a real cluster had', async () => {
    const { objects, skipped, errors } = await readManifests([sample]);
    expect(errors).toEqual([]);
    expect(Object.fromEntries(skipped)).toEqual({});
    const counts = new Map<string, number>();
    for (const { kind } of objects) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    expect(Object.fromEntries(counts)).toEqual({
      Namespace: 2,
      CiliumNode: 3,
      CiliumIdentity: 10,
      CiliumEndpoint: 20,
      Service: 8,
      EndpointSlice: 15,
      ServiceExport: 4,
    });
  });

  test('gives nodes with all addresses and blocks in their order, and drops what is none', async () => {
    const { objects } = await readManifests([sample]);
    expect(objects.find(({ metadata }) => metadata.name === 'worker-2')).toMatchObject({
      kind: 'CiliumNode',
      metadata: { namespace: '', annotations: { 'network.cilium.io/wg-pub-key': expect.any(String) } },
      spec: {
        addresses: [
          { type: 'InternalIP', ip: '172.18.0.3' },
          { type: 'InternalIP', ip: 'fc00:c111::3' },
          { type: 'ExternalIP', ip: '203.0.113.10' },
          { type: 'CiliumInternalIP', ip: '10.244.1.10' },
          { type: 'CiliumInternalIP', ip: 'fd00:10:244:1::e2d6' },
        ],
        bootId: '95bd447e-93db-4862-ba99-6a3c2c10c38f',
        encryptionKey: 0,
        health: { ipv4: '10.244.1.134', ipv6: 'fd00:10:244:1::d812' },
        ingress: {},
        ipam: {
          podCIDRs: ['10.244.1.0/24', 'fd00:10:244:1::/64'],
          pools: [
            { pool: 'mars', cidrs: ['10.244.40.0/24', 'fd00:10:244:28::/64'] },
            { pool: 'venus', cidrs: ['10.244.41.64/26'] },
          ],
        },
      },
    });
  });

  test('gives endpoints the identity that they have, not their local number', async () => {
    const { objects } = await readManifests([sample]);
    expect(objects.find(({ metadata }) => metadata.name === 'amber-dc36f-ember')).toMatchObject({
      kind: 'CiliumEndpoint',
      metadata: { namespace: 'shop' },
      status: {
        identity: 209531,
        networking: { addressing: [{ ipv4: '10.244.0.20', ipv6: 'fd00:10:244::1000' }], node: '172.18.0.2' },
        encryptionKey: 0,
        namedPorts: [
          { name: 'http', port: 8080, protocol: 'TCP' },
          { name: 'dns', port: 5353, protocol: 'UDP' },
        ],
        serviceAccount: 'default',
      },
    });
  });

  test('includes endpoints that have neither identity nor address yet', () => {
    expect(
      read({ apiVersion: 'cilium.io/v2', kind: 'CiliumEndpoint', metadata: { name: 'a', namespace: 'shop' } }),
    ).toMatchObject({
      status: { identity: 0, networking: { addressing: [] }, encryptionKey: 0, namedPorts: [] },
    });
  });

  test('comes in slices too, which name their namespace and are in none', () => {
    expect(
      read({
        apiVersion: 'cilium.io/v2alpha1',
        kind: 'CiliumEndpointSlice',
        metadata: { name: 'ces-1' },
        namespace: 'shop',
        endpoints: [
          {
            name: 'web-1',
            id: 200123,
            networking: { addressing: [{ ipv4: '10.1.0.5' }], node: '172.18.0.2' },
            encryption: { key: 3 },
            'named-ports': [{ name: 'http', port: 80, protocol: 'TCP' }],
            'service-account': 'web',
          },
        ],
      }),
    ).toEqual({
      kind: 'CiliumEndpointSlice',
      metadata: { name: 'ces-1', namespace: '', uid: '', labels: {}, annotations: {} },
      namespace: 'shop',
      endpoints: [
        {
          name: 'web-1',
          identity: 200123,
          networking: { addressing: [{ ipv4: '10.1.0.5' }], node: '172.18.0.2' },
          encryptionKey: 3,
          namedPorts: [{ name: 'http', port: 80, protocol: 'TCP' }],
          serviceAccount: 'web',
        },
      ],
    });
  });

  test.each([
    [{ kind: 'CiliumIdentity', metadata: { name: 'web' } }, 'metadata.name must be the number of the identity'],
    [{ kind: 'CiliumIdentity', metadata: { name: '4294967296' } }, 'metadata.name must be the number of the identity'],
    [{ kind: 'CiliumIdentity', metadata: { name: '300' }, 'security-labels': { a: 1 } }, 'security-labels.a must be'],
    [
      { kind: 'CiliumNode', metadata: { name: 'n' }, spec: { encryption: { key: 256 } } },
      'spec.encryption.key must be',
    ],
    [{ kind: 'CiliumEndpointSlice', metadata: { name: 's' } }, 'namespace must be a string that is not empty'],
    [
      { kind: 'CiliumEndpointSlice', metadata: { name: 's' }, namespace: 'shop', endpoints: [{ id: 5 }] },
      'endpoints[0].name must be',
    ],
    [
      { kind: 'CiliumEndpoint', metadata: { name: 'e' }, status: { 'named-ports': [{ port: 70000 }] } },
      'status.named-ports[0].port must be',
    ],
  ])('is refused with the member that is wrong: %j', (raw, message) => {
    expect(() => read({ apiVersion: 'cilium.io/v2', ...raw })).toThrow(message);
  });
});

describe('Exports and policies', () => {
  test.each(['v1alpha1', 'v1beta1'])('an export of %s keeps what is exported with it, and its age', (version) => {
    expect(
      read({
        apiVersion: `multicluster.x-k8s.io/${version}`,
        kind: 'ServiceExport',
        metadata: { name: 'web', namespace: 'shop', creationTimestamp: '2026-11-21T01:15:36Z' },
        spec: { exportedLabels: { tier: 'gold' }, exportedAnnotations: { team: 'red<&>' } },
      }),
    ).toMatchObject({
      metadata: { creationTimestamp: '2026-11-21T01:15:36Z' },
      spec: { exportedLabels: { tier: 'gold' }, exportedAnnotations: { team: 'red<&>' } },
    });
  });

  test('a policy is handed on as it was written, with its generation', () => {
    const spec = {
      podSelector: {},
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }],
    };
    expect(
      read({
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'deny', namespace: 'shop', uid: 'u', generation: 4 },
        spec,
      }),
    ).toEqual({
      kind: 'NetworkPolicy',
      metadata: { name: 'deny', namespace: 'shop', uid: 'u', labels: {}, annotations: {} },
      generation: 4,
      spec,
    });
  });
});

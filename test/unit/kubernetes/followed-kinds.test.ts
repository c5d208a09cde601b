import { expect, test } from '@jest/globals';
import {
  type FollowedKinds,
  MemorySource,
  followedKinds,
  isClusterScoped,
  isKubernetesKind,
  normaliseObject,
} from '../../../kubernetes/index.ts';

test.each<[FollowedKinds, readonly string[]]>([
  [{ mode: 'kubernetes' }, ['Namespace', 'Node', 'Service', 'ServiceExport', 'EndpointSlice', 'NetworkPolicy', 'Pod']],
  [
    { mode: 'kubernetes', serviceExports: false },
    ['Namespace', 'Node', 'Service', 'EndpointSlice', 'NetworkPolicy', 'Pod'],
  ],
  [
    { mode: 'cilium' },
    ['Namespace', 'CiliumNode', 'Service', 'ServiceExport', 'EndpointSlice', 'CiliumIdentity', 'CiliumEndpoint'],
  ],
  [
    { mode: 'cilium', serviceExports: false, ciliumEndpointSlices: true },
    ['Namespace', 'CiliumNode', 'Service', 'EndpointSlice', 'CiliumIdentity', 'CiliumEndpointSlice'],
  ],
])('%j follows what its cluster is made of, and nothing that it could wait for in vain', (options, kinds) => {
  expect(followedKinds(options)).toEqual(kinds);
  expect(kinds.every(isKubernetesKind)).toBe(true);
});

test('Namespaces, nodes, identities and Cilium’s slices are in no namespace', () => {
  const all = [...followedKinds({ mode: 'kubernetes' }), ...followedKinds({ mode: 'cilium' }), 'CiliumEndpointSlice'];
  expect([...new Set(all)].filter(isClusterScoped).toSorted()).toEqual([
    'CiliumEndpointSlice',
    'CiliumIdentity',
    'CiliumNode',
    'Namespace',
    'Node',
  ]);
});

test('A source in memory refuses a kind that it does not follow', () => {
  const source = new MemorySource('test', followedKinds({ mode: 'cilium' }));
  const read = normaliseObject({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
  if (read.type !== 'object') throw new Error('a node');
  expect(() => source.set(read.object)).toThrow('not Node');
});

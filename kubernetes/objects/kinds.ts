import type { KubernetesKind } from './objects.ts';

/**
 * What a cluster is made of: `kubernetes` with any network plugin, our agents on its nodes; `cilium` as Cilium's own
 * clustermesh-apiserver sees it, from what Cilium's agents keep in custom resources.
 */
export type SourceMode = 'kubernetes' | 'cilium';

export interface FollowedKinds {
  readonly mode: SourceMode;
  /** Mode `cilium`: endpoints come in CiliumEndpointSlices, as Cilium's flag `--enable-cilium-endpoint-slice` says. */
  readonly ciliumEndpointSlices?: boolean;
  /** ServiceExports too (MCS API). Default true; a cluster without that resource would be waited for. */
  readonly serviceExports?: boolean;
}

/** The kinds to follow in a mode, in an order that lets a reader resolve references early. */
export function followedKinds(options: FollowedKinds): readonly KubernetesKind[] {
  const { mode, ciliumEndpointSlices = false, serviceExports = true } = options;
  const exports: readonly KubernetesKind[] = serviceExports ? ['ServiceExport'] : [];
  if (mode === 'kubernetes')
    return ['Namespace', 'Node', 'Service', ...exports, 'EndpointSlice', 'NetworkPolicy', 'Pod'];
  const endpoints: KubernetesKind = ciliumEndpointSlices ? 'CiliumEndpointSlice' : 'CiliumEndpoint';
  return ['Namespace', 'CiliumNode', 'Service', ...exports, 'EndpointSlice', 'CiliumIdentity', endpoints];
}

/** Kinds that the apiserver follows in mode `kubernetes`. */
export const kubernetesKinds: readonly KubernetesKind[] = followedKinds({ mode: 'kubernetes' });

const clusterScoped: ReadonlySet<string> = new Set<KubernetesKind>([
  'Namespace',
  'Node',
  'CiliumNode',
  'CiliumIdentity',
  'CiliumEndpointSlice',
]);

/** Whether objects of a kind are in no namespace. */
export function isClusterScoped(kind: string): boolean {
  return clusterScoped.has(kind);
}

const every: Readonly<Record<KubernetesKind, true>> = {
  Namespace: true,
  Node: true,
  CiliumNode: true,
  Service: true,
  ServiceExport: true,
  EndpointSlice: true,
  NetworkPolicy: true,
  CiliumIdentity: true,
  CiliumEndpointSlice: true,
  CiliumEndpoint: true,
  Pod: true,
};

export function isKubernetesKind(text: string): text is KubernetesKind {
  return Object.hasOwn(every, text);
}

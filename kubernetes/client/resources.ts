import type { KubernetesKind } from '../objects/index.ts';

/** Where the API serves a kind. */
export interface Resource {
  readonly kind: KubernetesKind;
  /** Empty for the core group. */
  readonly group: string;
  /** Best first: clusters serve one or the other, or change from one to the other while we run. */
  readonly versions: readonly string[];
  /** In paths and in rules of RBAC. */
  readonly plural: string;
}

function resource(kind: KubernetesKind, group: string, plural: string, ...versions: readonly string[]): Resource {
  return { kind, group, plural, versions };
}

const all: readonly Resource[] = [
  resource('Namespace', '', 'namespaces', 'v1'),
  resource('Node', '', 'nodes', 'v1'),
  resource('Pod', '', 'pods', 'v1'),
  resource('Service', '', 'services', 'v1'),
  resource('EndpointSlice', 'discovery.k8s.io', 'endpointslices', 'v1'),
  resource('NetworkPolicy', 'networking.k8s.io', 'networkpolicies', 'v1'),
  // Cilium 1.20 asks for v1beta1 only (clustermesh-behaviour §18); older clusters serve v1alpha1.
  resource('ServiceExport', 'multicluster.x-k8s.io', 'serviceexports', 'v1beta1', 'v1alpha1'),
  resource('CiliumNode', 'cilium.io', 'ciliumnodes', 'v2'),
  resource('CiliumIdentity', 'cilium.io', 'ciliumidentities', 'v2'),
  resource('CiliumEndpoint', 'cilium.io', 'ciliumendpoints', 'v2'),
  resource('CiliumEndpointSlice', 'cilium.io', 'ciliumendpointslices', 'v2', 'v2alpha1'),
];

export function resourceOf(kind: KubernetesKind): Resource {
  const found = all.find((one) => one.kind === kind);
  if (!found) throw new RangeError(`No resource of the API is known for ${kind}`);
  return found;
}

/** The path of all objects of a resource, of all namespaces. */
export function collectionPath({ group, plural }: Resource, version: string): string {
  return group === '' ? `/api/${version}/${plural}` : `/apis/${group}/${version}/${plural}`;
}

export function apiVersionOf({ group }: Resource, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

/** As in messages of Kubernetes: `pods`, `endpointslices.discovery.k8s.io`. */
export function resourceName({ group, plural }: Resource): string {
  return group === '' ? plural : `${plural}.${group}`;
}

/** The rule of a ClusterRole that lets a kind be followed, for hints. */
export function ruleFor({ group, plural }: Resource): string {
  return `{apiGroups: ["${group}"], resources: [${plural}], verbs: [list, watch]}`;
}

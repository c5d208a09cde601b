/** An object as it goes over the wire. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: unknown;
  readonly status?: unknown;
}

const clusterScoped = new Set([
  'Namespace',
  'Node',
  'ClusterRole',
  'ClusterRoleBinding',
  'CustomResourceDefinition',
  'CiliumNode',
  'CiliumIdentity',
  'CiliumEndpointSlice',
]);

/** Where the API serves one object. */
export function pathOf({ apiVersion, kind, metadata }: KubeObject): string {
  return `${listPathOf(apiVersion, kind, metadata.namespace)}/${metadata.name}`;
}

/** Where it serves all objects of a kind in a namespace (`default` unless told). */
export function listPathOf(apiVersion: string, kind: string, namespace = 'default'): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return clusterScoped.has(kind) ? `${root}/${pluralOf(kind)}` : `${root}/namespaces/${namespace}/${pluralOf(kind)}`;
}

function pluralOf(kind: string): string {
  return kind.toLowerCase().replace(/y$/, 'ie') + 's';
}

/** Definitions of the custom resources that isthmus reads, as small as an API server takes them: nothing is validated. */
export function crd(group: string, kind: string, versions: readonly string[], scope: 'Namespaced' | 'Cluster'): string {
  const plural = `${kind.toLowerCase().replace(/y$/, 'ie')}s`;
  const served = versions.map(
    (name, i) => `
  - name: ${name}
    served: true
    storage: ${i === 0}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}`,
  );
  return `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ${plural}.${group}}
spec:
  group: ${group}
  scope: ${scope}
  names: {kind: ${kind}, listKind: ${kind}List, plural: ${plural}, singular: ${kind.toLowerCase()}}
  versions:${served.join('')}
---`;
}

export const ciliumCrds = [
  crd('cilium.io', 'CiliumNode', ['v2'], 'Cluster'),
  crd('cilium.io', 'CiliumIdentity', ['v2'], 'Cluster'),
  crd('cilium.io', 'CiliumEndpoint', ['v2'], 'Namespaced'),
  crd('cilium.io', 'CiliumEndpointSlice', ['v2alpha1'], 'Cluster'),
].join('\n');

/** @param versions the first one is stored */
export function serviceExportCrd(...versions: readonly string[]): string {
  return crd('multicluster.x-k8s.io', 'ServiceExport', versions, 'Namespaced');
}

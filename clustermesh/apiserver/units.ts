import type { KubernetesKind } from '../../kubernetes/index.ts';

/**
 * What is looked at again as a whole: all keys that follow from one object, or from one object and what decides on its
 * export. Events only say which units to look at. Units named after a kind become what agents of this cluster read, but
 * for Cilium's kinds; `shared` (a Service and its slices), `slice` (an EndpointSlice) and `export` (a ServiceExport) become
 * what other clusters read.
 */
export type UnitKind =
  | 'Namespace'
  | 'Node'
  | 'Service'
  | 'EndpointSlice'
  | 'NetworkPolicy'
  | 'Pod'
  | 'shared'
  | 'slice'
  | 'export'
  | 'CiliumNode'
  | 'CiliumIdentity'
  | 'CiliumEndpoint'
  | 'CiliumEndpointSlice';

export interface Unit {
  readonly kind: UnitKind;
  /** Empty for kinds without namespace. */
  readonly namespace: string;
  /** {@link anyName} for something of which only the kind is known. */
  readonly name: string;
}

/** No object of Kubernetes has this name. */
export const anyName = '*';

export function unitId(unit: Unit): string {
  return `${unit.kind}/${unit.namespace}/${unit.name}`;
}

/** Kinds that must have been listed before a unit may be decided on; first the kind whose object it stands for. */
export const needs: Readonly<Record<UnitKind, readonly [own: KubernetesKind, ...others: KubernetesKind[]]>> = {
  Namespace: ['Namespace'],
  Node: ['Node'],
  Service: ['Service'],
  EndpointSlice: ['EndpointSlice'],
  NetworkPolicy: ['NetworkPolicy'],
  Pod: ['Pod', 'Namespace'],
  shared: ['Service', 'EndpointSlice', 'Namespace'],
  slice: ['EndpointSlice', 'Service', 'Namespace'],
  export: ['ServiceExport', 'Service', 'Namespace'],
  CiliumNode: ['CiliumNode'],
  CiliumIdentity: ['CiliumIdentity', 'Namespace'],
  CiliumEndpoint: ['CiliumEndpoint', 'Namespace'],
  CiliumEndpointSlice: ['CiliumEndpointSlice', 'Namespace'],
};

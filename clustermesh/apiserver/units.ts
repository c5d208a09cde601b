import type { KubernetesKind } from '../../kubernetes/index.ts';

/**
 * What is looked at again as a whole: all keys that follow from one object (or, for `shared`, from a Service and its
 * slices). Events only say which units to look at.
 */
export type UnitKind = 'Namespace' | 'Node' | 'Service' | 'EndpointSlice' | 'Pod' | 'shared';

export interface Unit {
  readonly kind: UnitKind;
  readonly namespace: string;
  readonly name: string;
}

export function unitId(unit: Unit): string {
  return `${unit.kind}/${unit.namespace}/${unit.name}`;
}

/** Kinds that must have been listed before a unit may be decided on. */
export const needs: Readonly<Record<UnitKind, readonly KubernetesKind[]>> = {
  Namespace: ['Namespace'],
  Node: ['Node'],
  Service: ['Service'],
  EndpointSlice: ['EndpointSlice'],
  Pod: ['Pod', 'Namespace'],
  shared: ['Service', 'EndpointSlice', 'Namespace'],
};

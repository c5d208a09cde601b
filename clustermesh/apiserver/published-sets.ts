import type { KubernetesKind } from '../../kubernetes/index.ts';
import { type OwnKind, type Resource, ownKindPrefix, ownSyncedKey, syncedKey, watchPrefix } from '../wire/index.ts';
import type { ApiserverOptions } from './options.ts';
import { type UnitKind, needs } from './units.ts';

/** A set of keys whose completeness is announced by a canary. */
export interface PublishedSet {
  readonly canary: string;
  /** As in metrics: third and fourth segment of the key, or its first two words for records of our own. */
  readonly scope: string;
  /** Where its keys are, if the apiserver alone writes them. */
  readonly prefix?: string;
  /** What is published there; absent for a set that is empty by choice. */
  readonly unit?: UnitKind;
  /** Its keys are the agents': all of them must have said so. */
  readonly gated?: boolean;
}

export interface PublishedSetsOptions {
  readonly clusterName: string;
  /** What the source follows: it says whose objects nodes and endpoints are made of. */
  readonly kinds: readonly KubernetesKind[];
  /** Shared global services as ClusterService records. */
  readonly services: boolean;
  /** Service exports (MCS-API). */
  readonly serviceExports: boolean;
}

/**
 * Everything that an apiserver writes. Where Cilium runs it owns nodes, identities and addresses, and nobody reads records
 * of our own; elsewhere our agents write nodes and addresses. Sets that are off are announced as empty, so that a peer
 * does not wait for them (kvstore-schema §3).
 */
export function publishedSets(options: PublishedSetsOptions): readonly PublishedSet[] {
  const { clusterName, kinds, services, serviceExports } = options;
  const mesh = (resource: Resource, unit: UnitKind | undefined, rest: Partial<PublishedSet> = {}): PublishedSet => ({
    canary: syncedKey(clusterName, resource),
    scope: `${resource}/v1`,
    ...(unit ? { unit } : {}),
    ...rest,
  });
  const owned = (resource: Resource, unit: UnitKind | undefined): PublishedSet =>
    mesh(resource, unit, { prefix: watchPrefix(resource, clusterName) });
  const exported = [
    owned('services', services ? 'shared' : undefined),
    owned('endpointslices', 'slice'),
    owned('serviceexports', serviceExports ? 'export' : undefined),
  ];
  if (followsCilium(kinds)) {
    const endpoints = kinds.includes('CiliumEndpointSlice') ? 'CiliumEndpointSlice' : 'CiliumEndpoint';
    return [...exported, owned('identities', 'CiliumIdentity'), owned('nodes', 'CiliumNode'), owned('ip', endpoints)];
  }
  return [
    ...Object.entries(ownUnits).map(([kind, unit]) => ({
      canary: ownSyncedKey(kind as OwnKind),
      scope: `isthmus/${kind}`,
      prefix: ownKindPrefix(kind as OwnKind),
      unit,
    })),
    ...exported,
    mesh('identities', 'Pod'),
    mesh('nodes', 'Node', { gated: true }),
    mesh('ip', 'Node', { gated: true }),
  ];
}

/** What an apiserver with these options writes. */
export function publishedSetsOf(
  options: Pick<ApiserverOptions, 'clusterName' | 'source' | 'serviceV2' | 'serviceExports'>,
): readonly PublishedSet[] {
  return publishedSets({
    clusterName: options.clusterName,
    kinds: options.source.kinds,
    services: options.serviceV2 !== 'only-endpointslice',
    serviceExports: options.serviceExports === true,
  });
}

/** Whether a source tells of a cluster that runs Cilium. */
export function followsCilium(kinds: readonly KubernetesKind[]): boolean {
  return kinds.includes('CiliumNode');
}

/** Kinds without which not every set can be complete. */
export function neededKinds(sets: readonly PublishedSet[]): ReadonlySet<KubernetesKind> {
  return new Set(sets.flatMap(({ unit }) => (unit ? needs[unit] : [])));
}

const ownUnits: Readonly<Record<OwnKind, UnitKind>> = {
  services: 'Service',
  endpoints: 'EndpointSlice',
  namespaces: 'Namespace',
  nodes: 'Node',
  policies: 'NetworkPolicy',
  workloads: 'Pod',
};

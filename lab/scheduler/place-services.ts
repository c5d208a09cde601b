import { annotatedGlobal, isGlobalNamespace, serviceSettings } from '../../clustermesh/index.ts';
import type { Namespace, Pod, Service } from '../../kubernetes/index.ts';
import { matchesSelector } from '../../values/labels/index.ts';
import { formatPrefix, nthAddress } from '../../values/ip/index.ts';
import type { LabCluster, Topology } from '../topology/index.ts';
import { PlacementError, objectPath } from './schedule.ts';

const globalAnnotation = 'service.cilium.io/global';
/** ClusterIPs start here; the ones below are left to what a person adds by hand. */
const firstServiceNumber = 10;

/** A Service as it stands in one cluster, with its ClusterIP. */
export interface PlacedService {
  readonly cluster: string;
  readonly global: boolean;
  /** Whether other clusters may use its backends. */
  readonly shared: boolean;
  readonly service: Service;
}

export interface PlacedServices {
  readonly services: readonly PlacedService[];
  readonly warnings: readonly string[];
}

/**
 * Puts Services into clusters: a global one (never in a namespace that is not global) into every cluster, another one where its backends are (a Service without
 * any backend into the first cluster). ClusterIPs are dealt out anew from each cluster's own block.
 * @throws {PlacementError} for a Service that finds no address left.
 */
export function placeServices(
  topology: Topology,
  services: readonly Service[],
  pods: readonly { readonly cluster: string; readonly pod: Pod }[],
  namespaces: readonly Namespace[] = [],
): PlacedServices {
  const placed: PlacedService[] = [];
  const warnings: string[] = [];
  const next = new Map(topology.clusters.map((cluster) => [cluster.name, firstServiceNumber]));
  const closed = closedNamespaces(namespaces);
  for (const service of services) {
    const global = !closed.has(service.metadata.namespace) && isGlobal(topology, service);
    const backed = new Set(pods.filter(({ pod }) => selects(service, pod)).map(({ cluster }) => cluster));
    const [first] = topology.clusters;
    const homes = topology.clusters.filter(
      (cluster) => global || backed.has(cluster.name) || (backed.size === 0 && cluster === first),
    );
    for (const cluster of homes) {
      const there = inCluster(service, cluster, global, next);
      const shared = global && serviceSettings(there.metadata.annotations).shared;
      placed.push({ cluster: cluster.name, global, shared, service: there });
    }
  }
  for (const name of topology.globalServices === 'all' ? [] : topology.globalServices) {
    if (!services.some((service) => objectPath(service) === name))
      warnings.push(`services.global: there is no Service ${name}`);
  }
  return { services: placed, warnings };
}

/** Whether a Service's selector takes this pod as an endpoint. */
export function selects(service: Service, pod: Pod): boolean {
  const { selector } = service.spec;
  if (!selector || Object.keys(selector).length === 0 || service.spec.type === 'ExternalName') return false;
  return (
    pod.metadata.namespace === service.metadata.namespace &&
    matchesSelector({ matchLabels: selector }, pod.metadata.labels)
  );
}

/** Names of those that are not global: what is in them stays within its cluster. */
export function closedNamespaces(namespaces: readonly Namespace[]): ReadonlySet<string> {
  return new Set(
    namespaces.filter(({ metadata }) => !isGlobalNamespace(metadata.annotations)).map(({ metadata }) => metadata.name),
  );
}

function isGlobal(topology: Topology, service: Service): boolean {
  const annotated = annotatedGlobal(service.metadata.annotations);
  if (annotated !== undefined) return annotated;
  if (service.spec.type === 'ExternalName') return false;
  return topology.globalServices === 'all'
    ? service.spec.selector !== undefined
    : topology.globalServices.has(objectPath(service));
}

function inCluster(service: Service, cluster: LabCluster, global: boolean, next: Map<string, number>): Service {
  const annotations = global
    ? { ...service.metadata.annotations, [globalAnnotation]: 'true' }
    : service.metadata.annotations;
  return {
    ...service,
    metadata: { ...service.metadata, annotations },
    spec: { ...service.spec, clusterIPs: clusterIps(service, cluster, next) },
  };
}

function clusterIps(service: Service, cluster: LabCluster, next: Map<string, number>): readonly string[] {
  if (service.spec.type === 'ExternalName') return [];
  if (service.spec.clusterIPs[0] === 'None') return ['None'];
  const number = next.get(cluster.name) ?? firstServiceNumber;
  const { serviceCidr } = cluster;
  const room = 2 ** (32 - serviceCidr.length) - firstServiceNumber - 1;
  if (number >= firstServiceNumber + room)
    throw new PlacementError(
      `${objectPath(service)}: ${formatPrefix(serviceCidr)} of cluster ${cluster.name} has addresses for ${room} Services only; give it a larger serviceCIDR`,
    );
  next.set(cluster.name, number + 1);
  return [nthAddress(serviceCidr, number)];
}

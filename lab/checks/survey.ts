import type { EndpointSlice, Service } from '../../kubernetes/index.ts';
import type { ServiceReport } from '../report/index.ts';
import { type PlacedPod, type PlacedService, answersOn, selects } from '../scheduler/index.ts';
import { type ServiceTarget, serviceTargets } from './service-targets.ts';

/** One Service of the lab, over all clusters it stands in: how it is called, or why it cannot be. */
export type SurveyedService = Pick<ServiceReport, 'namespace' | 'name' | 'global' | 'backends'> &
  ({ readonly target: ServiceTarget } | { readonly notAsked: string });

export interface SurveyInput {
  readonly services: readonly PlacedService[];
  /** Of Services without selector. */
  readonly endpointSlices: readonly EndpointSlice[];
  /** Those that run. */
  readonly pods: readonly PlacedPod[];
  /** Every cluster of the lab. */
  readonly clusters: readonly string[];
}

const serviceNameLabel = 'kubernetes.io/service-name';

/** Every Service, those included that nobody can call. */
export function surveyServices(input: SurveyInput): SurveyedService[] {
  const targets = new Map(
    serviceTargets(input.services, input.pods).map((target) => [`${target.namespace}/${target.name}`, target]),
  );
  const byName = Map.groupBy(input.services, ({ service: { metadata } }) => `${metadata.namespace}/${metadata.name}`);
  return [...byName].flatMap(([path, places]) => {
    const [first] = places;
    if (!first) return [];
    const { namespace, name } = first.service.metadata;
    const homes = new Set(places.map(({ cluster }) => cluster));
    const backends = Object.fromEntries(
      input.clusters.map((cluster) => [cluster, homes.has(cluster) ? backendsIn(first.service, cluster, input) : 0]),
    );
    const total = Object.values(backends).reduce((sum, count) => sum + count, 0);
    const target = targets.get(path);
    const how = target ? { target } : { notAsked: reasonFor(first.service, total) };
    return [{ namespace, name, global: first.global, backends, ...how }];
  });
}

/** What is reported of a Service that nobody asked. */
export function unasked({ namespace, name, global, backends }: SurveyedService, notAsked: string): ServiceReport {
  return { namespace, name, global, backends, requests: 0, failed: 0, answeredBy: {}, errors: {}, notAsked };
}

function backendsIn(service: Service, cluster: string, { pods, endpointSlices }: SurveyInput): number {
  const { type, selector, ports } = service.spec;
  if (type === 'ExternalName') return 0;
  if (!selector) return endpointSlices.filter((slice) => belongsTo(slice, service)).flatMap(readyAddresses).length;
  return pods.filter(
    (placed) =>
      placed.cluster === cluster &&
      selects(service, placed.pod) &&
      (ports.length === 0 || ports.some((port) => answersOn(port, placed.pod))),
  ).length;
}

function belongsTo({ metadata }: EndpointSlice, service: Service): boolean {
  return (
    metadata.namespace === service.metadata.namespace && metadata.labels[serviceNameLabel] === service.metadata.name
  );
}

function readyAddresses(slice: EndpointSlice): readonly string[] {
  return slice.endpoints.filter(({ conditions }) => conditions.ready).flatMap(({ addresses }) => addresses);
}

function reasonFor({ spec: { type, selector, clusterIPs, ports } }: Service, backends: number): string {
  if (type === 'ExternalName') return 'ExternalName: it is a name in DNS and has no address';
  if (clusterIPs[0] === 'None') return 'headless: it has no address of its own';
  if (!selector && backends === 0) return 'it has neither a selector nor endpoints that were given by hand';
  if (!selector) return 'its endpoints were given by hand, and the lab does not know what answers there';
  if (!ports.some(({ protocol }) => protocol !== 'SCTP')) return 'it has no TCP or UDP port';
  return backends === 0
    ? 'no running pod is selected by it and answers on one of its ports'
    : 'no running pod answers on a TCP or UDP port of it';
}

import { parseIp } from '../../../values/ip/index.ts';
import type { EndpointSlice, Service } from '../../../kubernetes/index.ts';
import type { ClusterServiceRecord, PortConfiguration } from '../../wire/index.ts';

/** Label by which Kubernetes marks EndpointSlices and Services without a cluster IP. */
const headlessLabel = 'service.kubernetes.io/headless';

/**
 * The record of a shared global service (kvstore-schema §7): all its cluster IPs with the service's ports, every endpoint
 * that is ready or still serving with the ports of its slice. Of slices that name one address the last by name counts.
 */
export function clusterServiceOf(
  service: Service,
  slices: readonly EndpointSlice[],
  cluster: { readonly name: string; readonly id: number },
): ClusterServiceRecord {
  const { metadata, spec } = service;
  const ports = configuration(spec.ports);
  const frontends = isHeadless(service) ? [] : spec.clusterIPs.map((ip) => [parseIp(ip), ports] as const);
  const backends = new Map<string, PortConfiguration>();
  const hostnames = new Map<string, string>();
  const zones = new Map<string, ClusterServiceRecord['zones'][string]>();
  for (const slice of slices.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    if (slice.addressType === 'FQDN') continue;
    const slicePorts = configuration(slice.ports);
    for (const endpoint of slice.endpoints) {
      if (!endpoint.conditions.ready && !endpoint.conditions.serving) continue;
      for (const address of endpoint.addresses.map(parseIp)) {
        backends.set(address, slicePorts);
        if (endpoint.hostname !== undefined) hostnames.set(address, endpoint.hostname);
        if (endpoint.zone !== undefined)
          zones.set(address, {
            zone: endpoint.zone,
            forZones: (endpoint.hints?.forZones ?? []).map((hint) => hint.name),
          });
      }
    }
  }
  return {
    cluster: cluster.name,
    clusterId: cluster.id,
    namespace: metadata.namespace,
    name: metadata.name,
    frontends: Object.fromEntries(frontends),
    backends: Object.fromEntries(backends),
    hostnames: Object.fromEntries(hostnames),
    zones: Object.fromEntries(zones),
    labels: metadata.labels,
    selector: spec.selector ?? {},
    includeExternal: true,
    shared: true,
  };
}

export function isHeadless(service: Service): boolean {
  return (
    Object.hasOwn(service.metadata.labels, headlessLabel) ||
    service.spec.clusterIPs.some((ip) => ip.toLowerCase() === 'none')
  );
}

function configuration(
  ports: readonly { readonly name: string; readonly protocol: string; readonly port?: number }[],
): PortConfiguration {
  return Object.fromEntries(
    ports.flatMap(({ name, protocol, port }) => (port === undefined ? [] : [[name, { protocol, port }]])),
  );
}

import { formatLabels } from '../../values/labels/index.ts';
import { formatPrefix } from '../../values/ip/index.ts';
import { type MeshView, type ServiceTable, tunnelEndpointOf } from '../../clustermesh/index.ts';

/** What `isthmus get …` shows: plain values, sorted, one per record. `cluster` picks the records of one cluster. */
export function listNodes(view: MeshView, cluster?: string) {
  return [...view.nodes()]
    .filter((node) => cluster === undefined || node.cluster === cluster)
    .map((node) => ({
      cluster: node.cluster,
      name: node.name,
      addresses: node.addresses,
      tunnelEndpoint: tunnelEndpointOf(node),
      podCidrs: node.podCidrs.map(formatPrefix),
      labels: node.labels ?? {},
      bootId: node.bootId,
    }))
    .toSorted((a, b) => compare(a.cluster, b.cluster) || compare(a.name, b.name));
}

export function listIdentities(view: MeshView, cluster?: string) {
  return [...view.identitySources()]
    .filter(({ origin }) => cluster === undefined || origin.cluster === cluster)
    .map(({ record, origin }) => ({ cluster: origin.cluster, id: record.id, labels: formatLabels(record.labels) }))
    .toSorted((a, b) => a.id - b.id);
}

export function listIps(view: MeshView, cluster?: string) {
  return [...view.ipSources()]
    .filter(({ origin }) => cluster === undefined || origin.cluster === cluster)
    .map(({ record, origin }) => ({
      cluster: origin.cluster,
      ip: record.cidr ? formatPrefix(record.prefix) : record.prefix.address,
      hostIp: record.hostIp,
      identity: record.identity,
      namespace: record.namespace,
      podName: record.podName,
      serviceAccount: record.serviceAccount,
    }))
    .toSorted((a, b) => compare(a.cluster, b.cluster) || compare(a.ip, b.ip));
}

/** Services of the own cluster with the backends of all clusters; for another cluster, what it offers. */
export function listServices(services: ServiceTable, ownCluster: string, cluster = ownCluster) {
  if (cluster !== ownCluster)
    return [...services.offeredBy(cluster)]
      .map(({ namespace, name, backends }) => ({
        cluster,
        namespace,
        name,
        backends: Object.entries(backends).flatMap(([address, ports]) =>
          Object.entries(ports).map(([portName, { port, protocol }]) => ({
            cluster,
            address,
            port,
            protocol,
            portName,
          })),
        ),
      }))
      .toSorted((a, b) => compare(a.namespace, b.namespace) || compare(a.name, b.name));
  return [...services.keys()]
    .toSorted()
    .map((key) => services.get(key))
    .filter((known) => known !== undefined)
    .map(({ service, settings, ports }) => ({
      cluster,
      namespace: service.namespace,
      name: service.name,
      type: service.type,
      clusterIps: service.clusterIps,
      global: settings.global,
      shared: settings.shared,
      affinity: settings.affinity,
      ports: ports.map(({ name, port, protocol }) => ({ name, port, protocol })),
      backends: ports.flatMap(({ name, backends }) =>
        backends.map((backend) => ({
          cluster: backend.cluster,
          address: backend.address,
          port: backend.port,
          protocol: backend.protocol,
          portName: name,
          state: backend.state,
          ...(backend.workload === undefined ? {} : { workload: backend.workload }),
        })),
      ),
    }));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

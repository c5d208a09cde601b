import { ipToBytes } from '../../values/ip/index.ts';
import type {
  ClusterServiceRecord,
  EndpointSliceRecord,
  LocalEndpointsRecord,
  LocalServiceRecord,
} from '../wire/records.ts';
import { serviceSettings } from './annotations.ts';
import type { BackendSet } from './backend-set.ts';
import { fitBackends } from './fit-backends.ts';
import { addLocalBackends } from './local-backends.ts';
import { addRemoteBackends } from './remote-backends.ts';
import { addRemoteSlice } from './remote-slices.ts';
import type { MeshBackend, ServiceBackends } from './service-backends.ts';

/** A cluster cannot offer more for one Service in slices than in one record, many times over; whatever is beyond would keep us busy. */
const mostPairs = 100_000;

/**
 * The local Service with the backends of all clusters that have a shared Service of the same namespace and name. Remote
 * ones join only a global Service. Pure; equal knowledge in any order gives equal results.
 *
 * Backends join a port of the Service that has their name and protocol. A backend that only differs in cluster (the same
 * address in two of them) is counted once: for the own cluster, else for the first by name.
 */
export function mergeServices(
  ownCluster: string,
  service: LocalServiceRecord,
  slices: readonly LocalEndpointsRecord[],
  remotes: readonly ClusterServiceRecord[],
  remoteSlices: readonly EndpointSliceRecord[] = [],
): ServiceBackends {
  const settings = serviceSettings(service.annotations);
  const set: BackendSet = new Map();
  for (const slice of slices.toSorted((a, b) => compare(a.slice, b.slice))) addLocalBackends(set, slice, ownCluster);
  if (settings.global) {
    for (const remote of remotes.toSorted((a, b) => compare(a.cluster, b.cluster))) addRemoteBackends(set, remote);
    const inOrder = remoteSlices.toSorted((a, b) => compare(a.cluster, b.cluster) || compare(a.name, b.name));
    const left = new Map<string, number>();
    for (const slice of inOrder) {
      const pairs = left.get(slice.cluster) ?? mostPairs;
      left.set(slice.cluster, pairs - addRemoteSlice(set, slice, pairs));
    }
  }
  const backends = [...set.values()]
    .map(({ backend, names }): MeshBackend => ({ ...backend, portNames: [...names].toSorted() }))
    .toSorted(byPlace);
  return {
    service,
    settings,
    ports: service.ports.map(({ name, port, protocol, nodePort }) => ({
      name,
      port,
      protocol,
      ...(nodePort === undefined ? {} : { nodePort }),
      backends: fitBackends(
        backends.filter((backend) => backend.protocol === protocol && backend.portNames.includes(name)),
      ),
    })),
  };
}

function byPlace(a: MeshBackend, b: MeshBackend): number {
  return (
    Number(a.remote) - Number(b.remote) ||
    compare(a.cluster, b.cluster) ||
    Buffer.compare(ipToBytes(a.address), ipToBytes(b.address)) ||
    a.port - b.port
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

import type { PlacedPod, PlacedService } from '../scheduler/index.ts';
import { answersOn, selects } from '../scheduler/index.ts';

/** A Service as it is called: every cluster it stands in, with its address and its backends. */
export interface ServiceTarget {
  readonly namespace: string;
  readonly name: string;
  readonly global: boolean;
  /** Whether other clusters may use the backends of one. */
  readonly shared: boolean;
  /** `internalTrafficPolicy: Local`: a client reaches backends of its own node only. */
  readonly onlyOwnNode: boolean;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
  /** Cluster → ClusterIP. */
  readonly addresses: ReadonlyMap<string, string>;
  readonly backends: readonly PlacedPod[];
}

/** Services that can be called: with a ClusterIP, and a TCP or UDP port on which at least one running backend answers. */
export function serviceTargets(services: readonly PlacedService[], pods: readonly PlacedPod[]): ServiceTarget[] {
  const byName = Map.groupBy(services, ({ service }) => `${service.metadata.namespace}/${service.metadata.name}`);
  return [...byName.values()].flatMap((places) => {
    const [first] = places;
    if (!first) return [];
    const clusters = new Set(places.map((place) => place.cluster));
    const selected = pods.filter((pod) => clusters.has(pod.cluster) && selects(first.service, pod.pod));
    const port = first.service.spec.ports.find(
      (one) => one.protocol !== 'SCTP' && selected.some(({ pod }) => answersOn(one, pod)),
    );
    if (!port || port.protocol === 'SCTP') return [];
    const backends = selected.filter(({ pod }) => answersOn(port, pod));
    const addresses = places.flatMap((place) => {
      const [address] = place.service.spec.clusterIPs;
      return address && address !== 'None' ? [[place.cluster, address] as const] : [];
    });
    if (addresses.length === 0) return [];
    const { namespace, name } = first.service.metadata;
    return [
      {
        namespace,
        name,
        global: first.global,
        shared: first.shared,
        onlyOwnNode: first.service.spec.internalTrafficPolicy === 'Local',
        port: port.port,
        protocol: port.protocol,
        addresses: new Map(addresses),
        backends,
      },
    ];
  });
}

/** The backends that a call of this pod may be answered by. */
export function backendsFor(target: ServiceTarget, client: PlacedPod): PlacedPod[] {
  const { shared, onlyOwnNode, backends } = target;
  if (onlyOwnNode) return backends.filter(({ cluster, node }) => cluster === client.cluster && node === client.node);
  return backends.filter(({ cluster }) => shared || cluster === client.cluster);
}

/**
 * A pod of `cluster` that calls the Service: one that some backend may answer, preferably another one than itself. Neither
 * the client nor that backend are among `notThese`.
 */
export function clientFor(
  target: ServiceTarget,
  cluster: string,
  pods: readonly PlacedPod[],
  notThese: ReadonlySet<PlacedPod> = new Set(),
): PlacedPod | undefined {
  const here = pods.filter(
    (pod) =>
      pod.cluster === cluster &&
      !notThese.has(pod) &&
      backendsFor(target, pod).some((backend) => !notThese.has(backend)),
  );
  return here.find((pod) => !target.backends.includes(pod)) ?? here[0];
}

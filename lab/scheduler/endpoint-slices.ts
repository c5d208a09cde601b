import type { EndpointSlice, EndpointSliceEndpoint, Pod, Service, ServicePort } from '../../kubernetes/index.ts';
import { nameSuffix, uidOf } from './names.ts';
import { selects } from './place-services.ts';
import { targetPortOf } from './target-ports.ts';

/** A pod as an endpoint controller sees it. */
export interface EndpointPod {
  readonly pod: Pod;
  readonly node: string;
  readonly ip: string;
  /** Terminating pods neither are ready nor serve: they get no new connections, but still answer the ones they have. */
  readonly terminating: boolean;
}

/**
 * EndpointSlices of one Service, as Kubernetes' controller makes them: one slice for each set of port numbers that the
 * Service's named target ports resolve to.
 */
export function endpointSlicesOf(service: Service, pods: readonly EndpointPod[]): EndpointSlice[] {
  if (!service.spec.selector || service.spec.type === 'ExternalName') return [];
  const groups = new Map<string, { ports: EndpointSlice['ports']; endpoints: EndpointSliceEndpoint[] }>();
  for (const endpoint of pods) {
    if (!selects(service, endpoint.pod)) continue;
    const ports = service.spec.ports.flatMap((port) => resolvePort(port, endpoint.pod));
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    groups.set(key, group);
    group.endpoints.push(sliceEndpoint(endpoint, service.spec.publishNotReadyAddresses));
  }
  if (groups.size === 0) groups.set('', { ports: [], endpoints: [] });
  return [...groups].map(([key, { ports, endpoints }]) => sliceOf(service, key, ports, endpoints));
}

function sliceOf(
  service: Service,
  key: string,
  ports: EndpointSlice['ports'],
  endpoints: readonly EndpointSliceEndpoint[],
): EndpointSlice {
  const { name, namespace } = service.metadata;
  const sliceName = `${name}-${nameSuffix(`${namespace}/${name}/${key}`, 5)}`;
  return {
    kind: 'EndpointSlice',
    metadata: {
      name: sliceName,
      namespace,
      uid: uidOf(`${namespace}/${sliceName}`),
      labels: { 'kubernetes.io/service-name': name, 'endpointslice.kubernetes.io/managed-by': 'lab.isthmus.io' },
      annotations: {},
    },
    addressType: 'IPv4',
    endpoints: endpoints.toSorted((a, b) => (a.addresses[0] ?? '').localeCompare(b.addresses[0] ?? '')),
    ports,
  };
}

/** As Kubernetes says it: a pod that terminates is ready for a Service that publishes addresses that are not. */
function sliceEndpoint({ pod, node, ip, terminating }: EndpointPod, publishNotReady: boolean): EndpointSliceEndpoint {
  return {
    addresses: [ip],
    conditions: { ready: publishNotReady || !terminating, serving: !terminating, terminating },
    nodeName: node,
    targetRef: { kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name },
    ...(pod.spec.hostname ? { hostname: pod.spec.hostname } : {}),
  };
}

function resolvePort(port: ServicePort, pod: Pod): EndpointSlice['ports'] {
  const number = targetPortOf(port, pod);
  if (number === undefined) return [];
  return [
    {
      name: port.name,
      protocol: port.protocol,
      port: number,
      ...(port.appProtocol ? { appProtocol: port.appProtocol } : {}),
    },
  ];
}

import type { EndpointSlice, KubernetesObject, Node, ObjectMeta, Pod, Service } from '../objects/index.ts';

/** A Kubernetes object in the form of its API, ready for JSON or YAML. */
export type Manifest = Readonly<Record<string, unknown>>;

/** The other direction of `normaliseObject`: reading the result gives the same object again. */
export function toManifest(object: KubernetesObject): Manifest {
  switch (object.kind) {
    case 'Namespace':
      return { apiVersion: 'v1', kind: 'Namespace', metadata: metadata(object.metadata) };
    case 'Node':
      return { apiVersion: 'v1', kind: 'Node', metadata: metadata(object.metadata), ...node(object) };
    case 'Pod':
      return { apiVersion: 'v1', kind: 'Pod', metadata: metadata(object.metadata), ...pod(object) };
    case 'Service':
      return { apiVersion: 'v1', kind: 'Service', metadata: metadata(object.metadata), ...service(object) };
    case 'EndpointSlice':
      return {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: metadata(object.metadata),
        ...endpointSlice(object),
      };
  }
}

function metadata(meta: ObjectMeta): Manifest {
  return {
    name: meta.name,
    ...(meta.namespace === '' ? {} : { namespace: meta.namespace }),
    ...(meta.uid === '' ? {} : { uid: meta.uid }),
    labels: meta.labels,
    annotations: meta.annotations,
    creationTimestamp: meta.creationTimestamp,
  };
}

function readyCondition(ready: boolean): Manifest[] {
  return [{ type: 'Ready', status: ready ? 'True' : 'False' }];
}

function node(object: Node): Manifest {
  return {
    spec: { podCIDRs: object.spec.podCIDRs },
    status: { addresses: object.status.addresses, conditions: readyCondition(object.status.ready) },
  };
}

function pod(object: Pod): Manifest {
  const { nodeName, serviceAccountName, hostNetwork, hostname, ports } = object.spec;
  const { phase, podIPs, hostIP, ready } = object.status;
  return {
    spec: { nodeName, serviceAccountName, hostNetwork, hostname, containers: [{ ports }] },
    status: { phase, podIPs: podIPs.map((ip) => ({ ip })), hostIP, conditions: readyCondition(ready) },
  };
}

function service(object: Service): Manifest {
  const { loadBalancerIPs, sessionAffinityTimeoutSeconds: timeoutSeconds, ...spec } = object.spec;
  return {
    spec: {
      ...spec,
      sessionAffinityConfig: timeoutSeconds === undefined ? undefined : { clientIP: { timeoutSeconds } },
    },
    status: { loadBalancer: { ingress: loadBalancerIPs.map((ip) => ({ ip })) } },
  };
}

function endpointSlice(object: EndpointSlice): Manifest {
  return { addressType: object.addressType, endpoints: object.endpoints, ports: object.ports };
}

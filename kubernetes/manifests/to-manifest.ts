import type {
  CiliumEndpointState,
  CiliumNode,
  KubernetesObject,
  Node,
  ObjectMeta,
  Pod,
  Service,
} from '../objects/index.ts';

/** A Kubernetes object in the form of its API, ready for JSON or YAML. */
export type Manifest = Readonly<Record<string, unknown>>;

/** The other direction of `normaliseObject`: reading the result gives the same object again. */
export function toManifest(object: KubernetesObject): Manifest {
  const { kind } = object;
  return { apiVersion: apiVersions[kind], kind, metadata: metadata(object.metadata), ...rest(object) };
}

const apiVersions: Readonly<Record<KubernetesObject['kind'], string>> = {
  Namespace: 'v1',
  Node: 'v1',
  Pod: 'v1',
  Service: 'v1',
  EndpointSlice: 'discovery.k8s.io/v1',
  ServiceExport: 'multicluster.x-k8s.io/v1beta1',
  NetworkPolicy: 'networking.k8s.io/v1',
  CiliumNode: 'cilium.io/v2',
  CiliumIdentity: 'cilium.io/v2',
  CiliumEndpoint: 'cilium.io/v2',
  CiliumEndpointSlice: 'cilium.io/v2alpha1',
};

function rest(object: KubernetesObject): Manifest {
  switch (object.kind) {
    case 'Namespace':
      return {};
    case 'Node':
      return node(object);
    case 'Pod':
      return pod(object);
    case 'Service':
      return service(object);
    case 'EndpointSlice':
      return {
        addressType: object.addressType,
        endpoints: object.endpoints.map(({ statedConditions, conditions, ...endpoint }) => ({
          ...endpoint,
          conditions: statedConditions ?? conditions,
        })),
        ports: object.ports,
      };
    case 'ServiceExport':
      return { spec: object.spec };
    case 'NetworkPolicy':
      return {
        metadata: {
          ...metadata(object.metadata),
          ...(object.generation === 0 ? {} : { generation: object.generation }),
        },
        spec: object.spec,
      };
    case 'CiliumNode':
      return ciliumNode(object);
    case 'CiliumIdentity':
      return { 'security-labels': object.securityLabels };
    case 'CiliumEndpoint': {
      const { id, ...status } = ciliumEndpoint(object.status);
      return { status: { identity: { id }, ...status } };
    }
    case 'CiliumEndpointSlice':
      return {
        namespace: object.namespace,
        endpoints: object.endpoints.map((endpoint) => ({ name: endpoint.name, ...ciliumEndpoint(endpoint) })),
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

function ciliumNode({ spec }: CiliumNode): Manifest {
  const { addresses, bootId, encryptionKey, health, ingress, ipam, nodeIdentity } = spec;
  return {
    spec: {
      addresses,
      bootid: bootId,
      encryption: { key: encryptionKey },
      health,
      ingress,
      ipam: { podCIDRs: ipam.podCIDRs, pools: { allocated: ipam.pools } },
      nodeidentity: nodeIdentity,
    },
  };
}

function ciliumEndpoint(state: CiliumEndpointState): Manifest {
  return {
    id: state.identity,
    networking: state.networking,
    encryption: { key: state.encryptionKey },
    'named-ports': state.namedPorts,
    'service-account': state.serviceAccount,
  };
}

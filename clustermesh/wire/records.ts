import type { IpAddress, Prefix } from '../../values/ip/index.ts';
import type { Label } from '../../values/labels/index.ts';

/** `cilium/cluster-config/<C>`: what a cluster says of itself (kvstore-schema §2). */
export interface ClusterConfigRecord {
  readonly id: number;
  readonly syncedCanaries: boolean;
  readonly cached: boolean;
  readonly maxConnectedClusters?: number;
  /** Absent: not supported; false: supported but off. */
  readonly serviceExportsEnabled?: boolean;
  /** As it was found; {@link EndpointSlicesExportMode} once checked. Absent: ClusterService records only. */
  readonly endpointSlicesExportMode?: string;
}

/** Which forms of a service's backends a cluster exports (kvstore-schema §16.1). */
export type EndpointSlicesExportMode = 'services-and-endpointslices' | 'endpointslices-only';

export interface NodeAddress {
  readonly type: string;
  readonly ip: IpAddress;
}

/** `cilium/state/nodes/v1/<C>/<node>` (kvstore-schema §6). */
export interface NodeRecord {
  readonly name: string;
  readonly cluster: string;
  readonly clusterId: number;
  readonly addresses: readonly NodeAddress[];
  /** Pod CIDRs; per family the first is the primary one. */
  readonly podCidrs: readonly Prefix[];
  readonly healthIps: readonly IpAddress[];
  readonly ingressIps: readonly IpAddress[];
  readonly source: string;
  readonly encryptionKey: number;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly annotations: Readonly<Record<string, string>> | null;
  /** Written as 0 by current peers; undefined leaves the member out (Cilium ≥ 1.20). */
  readonly nodeIdentity?: number;
  readonly wireguardPublicKey: string;
  readonly bootId: string;
}

export interface NamedPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

/** `cilium/state/ip/v1/default/<ip>` (kvstore-schema §5). */
export interface IpRecord {
  /** A host prefix, or the CIDR when the value carries a mask. */
  readonly prefix: Prefix;
  /** True when the value carried (or is to carry) a mask. */
  readonly cidr: boolean;
  /** Node address; empty when unknown. */
  readonly hostIp: IpAddress;
  readonly identity: number;
  readonly encryptKey: number;
  readonly metadata: string;
  readonly namespace: string;
  readonly podName: string;
  readonly serviceAccount: string;
  readonly namedPorts: readonly NamedPort[];
}

/** `cilium/state/identities/v1/id/<n>` (kvstore-schema §4). */
export interface IdentityRecord {
  readonly id: number;
  readonly labels: readonly Label[];
}

/** Port name → protocol and number. */
export type PortConfiguration = Readonly<Record<string, { readonly protocol: string; readonly port: number }>>;

/** `cilium/state/services/v1/<C>/<ns>/<name>` (kvstore-schema §7): a shared global service of one cluster. */
export interface ClusterServiceRecord {
  readonly cluster: string;
  readonly clusterId: number;
  readonly namespace: string;
  readonly name: string;
  readonly frontends: Readonly<Record<IpAddress, PortConfiguration>>;
  readonly backends: Readonly<Record<IpAddress, PortConfiguration>>;
  readonly hostnames: Readonly<Record<IpAddress, string>>;
  readonly zones: Readonly<Record<IpAddress, { readonly zone: string; readonly forZones: readonly string[] }>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly selector: Readonly<Record<string, string>>;
  readonly includeExternal: boolean;
  readonly shared: boolean;
}

/** One endpoint of a slice; what Kubernetes leaves open is absent. */
export interface SliceEndpoint {
  readonly addresses: readonly IpAddress[];
  /** Absent ready counts as true, absent serving as ready, absent terminating as false (EndpointSlice API). */
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  readonly hostname?: string;
  readonly deprecatedTopology?: Readonly<Record<string, string>>;
  readonly nodeName?: string;
  readonly zone?: string;
  readonly hints?: { readonly forZones: readonly string[] };
}

export interface SlicePort {
  readonly name?: string;
  readonly protocol?: string;
  /** Absent: every port. */
  readonly port?: number;
  readonly appProtocol?: string;
}

/** `cilium/state/endpointslices/v1/<C>/<ns>/<slice>` (kvstore-schema §16): one EndpointSlice of a shared global service. */
export interface EndpointSliceRecord {
  readonly cluster: string;
  readonly clusterId: number;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly addressType: 'IPv4' | 'IPv6';
  readonly endpoints: readonly SliceEndpoint[];
  readonly ports: readonly SlicePort[];
}

export type IpFamily = 'IPv4' | 'IPv6';

/** `cilium/state/serviceexports/v1/<C>/<ns>/<name>` (kvstore-schema §8): a Service that takes part in MCS-API. */
export interface ServiceExportRecord {
  readonly cluster: string;
  readonly name: string;
  readonly namespace: string;
  /** Those that the ServiceExport asks to export. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since 1970, in whole seconds: the oldest export wins conflicts. */
  readonly exportCreationMs: number;
  /** Ports of the Service, not of its backends. */
  readonly ports: readonly {
    readonly name?: string;
    readonly protocol?: string;
    readonly appProtocol?: string;
    readonly port: number;
  }[];
  readonly type: 'ClusterSetIP' | 'Headless';
  readonly sessionAffinity: 'None' | 'ClientIP';
  readonly sessionAffinityTimeoutSeconds?: number;
  readonly ipFamilies: readonly IpFamily[];
  readonly internalTrafficPolicy?: 'Cluster' | 'Local';
  readonly trafficDistribution?: 'PreferClose' | 'PreferSameZone' | 'PreferSameNode';
}

/** `isthmus/v1/services/<ns>/<name>`: a Service of the own cluster, as agents need it (docs/store-records.md). */
export interface LocalServiceRecord {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly type: string;
  readonly clusterIps: readonly IpAddress[];
  readonly headless: boolean;
  readonly ports: readonly {
    readonly name: string;
    readonly port: number;
    readonly protocol: string;
    readonly nodePort?: number;
    readonly appProtocol?: string;
  }[];
  readonly externalIps: readonly IpAddress[];
  readonly loadBalancerIps: readonly IpAddress[];
  readonly loadBalancerSourceRanges: readonly string[];
  readonly internalTrafficPolicy?: string;
  readonly externalTrafficPolicy?: string;
  readonly sessionAffinity: string;
  readonly sessionAffinityTimeoutSeconds?: number;
  readonly trafficDistribution?: string;
  /** Only those that isthmus understands. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly hasSelector: boolean;
}

export interface LocalEndpoint {
  readonly addresses: readonly IpAddress[];
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly nodeName?: string;
  readonly zone?: string;
  readonly hostname?: string;
  readonly hints?: readonly string[];
  /** `<ns>/<name>` of the pod behind it, when known. */
  readonly workload?: string;
}

/** `isthmus/v1/endpoints/<ns>/<service>/<slice>`: one EndpointSlice of the own cluster. */
export interface LocalEndpointsRecord {
  readonly namespace: string;
  readonly service: string;
  readonly slice: string;
  readonly addressType: string;
  readonly ports: readonly {
    readonly name: string;
    readonly port?: number;
    readonly protocol: string;
    readonly appProtocol?: string;
  }[];
  readonly endpoints: readonly LocalEndpoint[];
}

/** `isthmus/v1/namespaces/<name>`. */
export interface NamespaceRecord {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** An identity that a node uses, with the labels that it means there. */
export interface HeldNumber {
  readonly id: number;
  /** As in the identity's own key. */
  readonly text: string;
  /** Not for other clusters. */
  readonly hidden: boolean;
}

/** `isthmus/v1/kvstoremesh/remotes/<R>`: how a remote cluster is doing whose copies agents of this cluster read. */
export interface CopyReportRecord {
  readonly cluster: string;
  /** Its configuration was read on the present connection. */
  readonly connected: boolean;
  /** Every set of it was copied on the present connection. */
  readonly synced: boolean;
  /** Its writer is silent or has lost its lease: the copies stay in use. */
  readonly stale: boolean;
  /** When its control plane was last heard; said while something is wrong. */
  readonly lastHeartbeatMs?: number;
  /** Failed connections in this life of the kvstoremesh. */
  readonly failures: number;
  readonly lastFailureMs?: number;
  /** What is wrong, in words. */
  readonly failure?: string;
}

/** `isthmus/v1/held/<node>`. */
export interface HeldNumbersRecord {
  readonly node: string;
  readonly numbers: readonly HeldNumber[];
  /** The question that was read before this was said: what an older store holds answers an older one. */
  readonly answers?: string;
  /** Identities of the cluster that the agent remembers and the store may have lost, whoever has them. */
  readonly remembered?: readonly RememberedNumber[];
}

/** A number, and by what to tell whether a text is the one that it meant: 32 bits. */
export type RememberedNumber = readonly [id: number, digest: number];

/** `isthmus/v1/nodes/<node>`: what the cluster assigned to a node. */
export interface NodeAssignmentRecord {
  readonly node: string;
  readonly podCidrs: readonly Prefix[];
  readonly zone?: string;
  readonly region?: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** `isthmus/v1/policies/<kind>/<ns or _>/<name>`: a policy as it was written; who applies it judges it. */
export interface PolicyRecord {
  /** `NetworkPolicy`. */
  readonly kind: string;
  /** Empty for a policy of the whole cluster. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Counts changes of `spec`; 0 when nobody counts. */
  readonly generation: number;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** `isthmus/v1/workloads/<node>/<ns>/<name>`: a pod that the cluster placed on a node. */
export interface WorkloadRecord {
  readonly node: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  /** 0 until the apiserver has allocated it; the endpoint is `reserved:init` until then. */
  readonly identity: number;
  readonly namedPorts: readonly NamedPort[];
  readonly serviceAccount: string;
  /** Addresses assigned by the cluster; empty: the node's own address management decides. */
  readonly ips: readonly IpAddress[];
  /** Its namespace is not global: other clusters learn neither its identity nor its addresses. */
  readonly hidden?: boolean;
}

import type { Labels } from '../../values/labels/index.ts';
import type { ContainerPort, ObjectMeta } from './object-meta.ts';

/** A node as Cilium keeps it (`cilium.io/v2`); what becomes a node record stands in kvstore-schema §6. */
export interface CiliumNode {
  readonly kind: 'CiliumNode';
  readonly metadata: ObjectMeta;
  readonly spec: {
    /** In their order; entries that hold no IP address (a host name) are dropped, as Cilium does. */
    readonly addresses: readonly { readonly type: string; readonly ip: string }[];
    readonly bootId: string;
    /** 0–255. */
    readonly encryptionKey: number;
    readonly health: IpPair;
    readonly ingress: IpPair;
    readonly ipam: {
      /** In their order, without host bits; what is no block is dropped, as Cilium does. */
      readonly podCIDRs: readonly string[];
      /** Multi-pool IPAM: blocks by pool, in their order. */
      readonly pools: readonly { readonly pool: string; readonly cidrs: readonly string[] }[];
    };
    /** Only of external workloads, up to Cilium 1.17. */
    readonly nodeIdentity?: number;
  };
}

/** An address of each family, where there is one. */
export interface IpPair {
  readonly ipv4?: string;
  readonly ipv6?: string;
}

/** A security identity (`cilium.io/v2`); its name is its number, in decimal. */
export interface CiliumIdentity {
  readonly kind: 'CiliumIdentity';
  readonly metadata: ObjectMeta;
  /** By `source:key`. */
  readonly securityLabels: Labels;
}

/** What both forms of an endpoint say of it (kvstore-schema §5). */
export interface CiliumEndpointState {
  /** 0 while it has none. */
  readonly identity: number;
  readonly networking: {
    readonly addressing: readonly IpPair[];
    /** Address of its node; absent while unknown. */
    readonly node?: string;
  };
  /** 0–255. */
  readonly encryptionKey: number;
  /** In the order of the object, which is that of the record. */
  readonly namedPorts: readonly CiliumNamedPort[];
  readonly serviceAccount?: string;
}

export interface CiliumNamedPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: ContainerPort['protocol'] | 'ICMP' | 'ICMPv6' | 'ANY';
}

/** An endpoint (`cilium.io/v2`); it has the name of its pod. */
export interface CiliumEndpoint {
  readonly kind: 'CiliumEndpoint';
  readonly metadata: ObjectMeta;
  readonly status: CiliumEndpointState;
}

/** Several endpoints of one namespace in one object (`cilium.io/v2alpha1`), which is itself cluster-scoped. */
export interface CiliumEndpointSlice {
  readonly kind: 'CiliumEndpointSlice';
  readonly metadata: ObjectMeta;
  /** Of its endpoints. */
  readonly namespace: string;
  readonly endpoints: readonly (CiliumEndpointState & { readonly name: string })[];
}

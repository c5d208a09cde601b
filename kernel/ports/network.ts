import type { IpAddress, Prefix } from '../../values/ip/index.ts';

/** A network device as rtnetlink reports it. */
export interface Link {
  readonly name: string;
  readonly index: number;
  /** `veth`, `vxlan`, `geneve`, `bridge`, `dummy`, …; empty for a physical device and `lo`. */
  readonly kind: string;
  readonly mtu: number;
  readonly up: boolean;
  /** `02:…`; empty for devices without. */
  readonly mac: string;
  /** Index of the bridge it belongs to; 0 when none. */
  readonly master: number;
  readonly vxlan?: { readonly collectMetadata: boolean; readonly port: number; readonly vni: number };
}

/** A device to create. Indexes and addresses may be chosen, so that no look-up is needed afterwards. */
export type LinkSpec = {
  readonly name: string;
  readonly index?: number;
  readonly mtu?: number;
  readonly mac?: string;
  readonly up?: boolean;
  readonly master?: number;
} & (
  | { readonly kind: 'dummy' | 'bridge' }
  /** Collect-metadata (`external`), nolearning, no outer UDP checksum over IPv4. */
  | { readonly kind: 'vxlan'; readonly port: number; readonly vni?: never }
  /** Fixed VNI, for comparisons with plain routed VXLAN. */
  | {
      readonly kind: 'vxlan';
      readonly port: number;
      readonly vni: number;
      readonly remote: IpAddress;
      readonly local: IpAddress;
    }
  | {
      readonly kind: 'veth';
      /** `netns` is an open file descriptor of the peer's namespace; absent: this one. */
      readonly peer: {
        readonly name: string;
        readonly index?: number;
        readonly mtu?: number;
        readonly mac?: string;
        readonly netns?: number;
      };
    }
);

export interface Route {
  /** 0.0.0.0/0 is the default route. */
  readonly destination: Prefix;
  /** Index of the outgoing device. */
  readonly link: number;
  readonly gateway?: IpAddress;
  readonly source?: IpAddress;
  readonly mtu?: number;
  /** 254 (main) unless told. */
  readonly table?: number;
  /** RTPROT number; isthmus marks its own routes with {@link NetworkPort.protocol}. */
  readonly protocol?: number;
  readonly scope?: 'global' | 'link';
}

export interface Neighbour {
  readonly link: number;
  readonly address: IpAddress;
  readonly mac: string;
}

export interface InterfaceAddress {
  readonly link: number;
  readonly address: IpAddress;
  readonly length: number;
}

/**
 * rtnetlink of one network namespace. Adding what is there already, and removing what is not, succeeds: drivers may
 * repeat themselves. Every refusal is a `KernelError` that names object and errno.
 */
export interface NetworkPort {
  /** RTPROT of the routes that isthmus owns and may therefore remove. */
  readonly protocol: number;
  links(): Promise<readonly Link[]>;
  link(name: string): Promise<Link | undefined>;
  /**
   * Creates a device, with everything in one message: one that is seen is complete. A device of that name, kind (and
   * index, port, VNI) that is there already is returned as it is; another one of that name or index is `EEXIST`. The peer
   * of a veth is down at first, whatever `up` says; its own namespace sets it up.
   */
  createLink(spec: LinkSpec): Promise<Link>;
  changeLink(
    index: number,
    change: {
      readonly up?: boolean;
      readonly mtu?: number;
      readonly mac?: string;
      readonly master?: number;
      readonly name?: string;
    },
  ): Promise<void>;
  /** False when there is none of that name. Its addresses, routes and neighbours go with it. */
  deleteLink(name: string): Promise<boolean>;
  addresses(): Promise<readonly InterfaceAddress[]>;
  addAddress(address: InterfaceAddress): Promise<void>;
  removeAddress(address: InterfaceAddress): Promise<void>;
  /** Routes of a table (254 unless told); only those with the given protocol when it is given. */
  routes(filter?: { readonly table?: number; readonly protocol?: number }): Promise<readonly Route[]>;
  /** Adds or replaces, in batches of one send. @throws {KernelError} naming the first refused route; the others are in place. */
  replaceRoutes(routes: readonly Route[]): Promise<void>;
  removeRoutes(routes: readonly Route[]): Promise<void>;
  /** Static (permanent) neighbours; those the kernel learned and forgets by itself are left out. */
  neighbours(): Promise<readonly Neighbour[]>;
  /** Adds or replaces static neighbours. */
  replaceNeighbours(neighbours: readonly Neighbour[]): Promise<void>;
  removeNeighbours(neighbours: readonly Pick<Neighbour, 'link' | 'address'>[]): Promise<void>;
  /** A value below /proc/sys/net of this namespace, dots or slashes (`ipv4/ip_forward`). */
  setSysctl(path: string, value: string): Promise<void>;
}

import type { IpAddress, Prefix } from '../values/ip/index.ts';

/** The overlay device of a node. One collect-metadata device serves all peers. */
export interface OverlayDevice {
  readonly protocol: 'vxlan';
  readonly name: string;
  readonly port: number;
  readonly mtu: number;
}

/** A route of the node's own namespace toward a pod CIDR of another node, so that the host itself reaches pods. */
export interface NodeRoute {
  readonly destination: Prefix;
  readonly device: string;
  readonly mtu: number;
  readonly source?: IpAddress;
}

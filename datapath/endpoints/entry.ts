import type { IpAddress } from '../../values/ip/index.ts';

/** One endpoint (or host address) of this node. */
export interface EndpointEntry {
  readonly address: IpAddress;
  /** Device in the node's namespace through which the endpoint is reached; 0 for host addresses. */
  readonly link: number;
  /** Number of the endpoint on this node, 1–65535; 0 for host addresses. */
  readonly endpointId: number;
  readonly mac: string;
  /** MAC of the node's end of the endpoint's veth. */
  readonly nodeMac: string;
  readonly identity: number;
  /** True for the node's own addresses. */
  readonly host?: boolean;
}

import type { IpAddress } from '../../values/ip/index.ts';
import type { EndpointEntry } from '../../datapath/index.ts';

/** What an endpoint of this node is to the datapath. */
export interface AttachedEndpoint {
  readonly ips: readonly IpAddress[];
  /** Index of its device in the node's namespace. */
  readonly linkIndex: number;
  readonly endpointId: number;
  readonly mac: string;
  readonly nodeMac: string;
  readonly identity: number;
}

/** The row of one address of an endpoint. */
export function endpointEntry(address: IpAddress, endpoint: AttachedEndpoint): EndpointEntry {
  return {
    address,
    link: endpoint.linkIndex,
    endpointId: endpoint.endpointId,
    mac: endpoint.mac,
    nodeMac: endpoint.nodeMac,
    identity: endpoint.identity,
  };
}

/** The row of an address of the node itself: packets to it are for the host. */
export function hostEntry(address: IpAddress): EndpointEntry {
  return {
    address,
    link: 0,
    endpointId: 0,
    mac: '00:00:00:00:00:00',
    nodeMac: '00:00:00:00:00:00',
    identity: 0,
    host: true,
  };
}

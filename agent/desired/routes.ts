import { containsIp, formatPrefix, prefixesOverlap } from '../../values/ip/index.ts';
import { type NodeRecord, tunnelEndpointOf } from '../../clustermesh/index.ts';
import type { NodeRoute, OverlayDevice } from '../../tunnel/index.ts';
import { type OwnNode, ownNodeKey } from './own-node.ts';

/**
 * Routes of this node's own namespace: the pod CIDRs of all other nodes through the overlay device. Sorted by destination,
 * one each. Left out: IPv6 (the overlay carries IPv4), what overlaps with our own pod CIDRs, and blocks that contain an
 * address which the tunnels themselves must reach: such a route would swallow its own packets.
 */
export function nodeRoutes(
  nodes: Iterable<NodeRecord>,
  own: OwnNode,
  device: Pick<OverlayDevice, 'name' | 'mtu'>,
): readonly NodeRoute[] {
  const all = [...nodes];
  const isOwn = (node: NodeRecord): boolean => `${node.cluster}/${node.name}` === ownNodeKey(own);
  const ownCidrs = all.filter(isOwn).flatMap(({ podCidrs }) => podCidrs);
  const underlay = [own.ip, ...all.map((node) => tunnelEndpointOf(node)).filter((ip) => ip !== undefined)];
  const routes = new Map<string, NodeRoute>();
  for (const node of all) {
    if (isOwn(node) || tunnelEndpointOf(node) === undefined) continue;
    for (const destination of node.podCidrs) {
      if (destination.family !== 4) continue;
      if (ownCidrs.some((cidr) => prefixesOverlap(cidr, destination))) continue;
      if (underlay.some((ip) => containsIp(destination, ip))) continue;
      routes.set(formatPrefix(destination), { destination, device: device.name, mtu: device.mtu, source: own.ip });
    }
  }
  return [...routes].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, route]) => route);
}

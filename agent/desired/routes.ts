import { type Prefix, formatPrefix, ipv4ToNumber, prefixesOverlap } from '../../values/ip/index.ts';
import { type NodeRecord, tunnelEndpointOf } from '../../clustermesh/index.ts';
import type { NodeRoute, OverlayDevice } from '../../tunnel/index.ts';
import { type OwnNode, ownNodeKey } from './own-node.ts';
import { CoveredBlocks } from './covered-blocks.ts';

interface Announced {
  /** Where its tunnels end: an address that must be reached outside of them. */
  readonly endpoint: number | undefined;
  /** IPv4 alone: the overlay carries no other. */
  readonly podCidrs: readonly Prefix[];
}

interface Claim {
  readonly destination: Prefix;
  readonly nodes: Set<string>;
}

/**
 * Routes of this node's own namespace: the pod CIDRs of all other nodes through the overlay device, one each. Left out:
 * IPv6 (the overlay carries IPv4), what overlaps with our own pod CIDRs, and blocks that contain an address which the
 * tunnels themselves must reach: such a route would swallow its own packets. The work for one node is that node's, however
 * many there are.
 */
export class NodeRoutes {
  readonly #own: OwnNode;
  readonly #nodes = new Map<string, Announced>();
  readonly #claims = new Map<string, Claim>();
  readonly #underlay = new CoveredBlocks();
  #ownCidrs: readonly Prefix[] = [];

  constructor(own: OwnNode) {
    this.#own = own;
    this.#underlay.add(ipv4ToNumber(own.ip));
  }

  /** Takes over a node's present state, undefined when it has gone. Returns the destinations to look at again. */
  set(nodeKey: string, node: NodeRecord | undefined): Iterable<string> {
    const isOwn = nodeKey === ownNodeKey(this.#own);
    const before = this.#nodes.get(nodeKey);
    const after = node && announced(node);
    if (after) this.#nodes.set(nodeKey, after);
    else this.#nodes.delete(nodeKey);
    const touched = new Set(this.#moveEndpoint(before?.endpoint, after?.endpoint));
    if (isOwn) {
      const had = this.#ownCidrs;
      this.#ownCidrs = after?.podCidrs ?? [];
      return sameBlocks(had, this.#ownCidrs) ? touched : this.#claims.keys();
    }
    for (const cidr of claimedBy(before)) touched.add(this.#release(cidr, nodeKey));
    for (const cidr of claimedBy(after)) touched.add(this.#claim(cidr, nodeKey));
    return touched;
  }

  get(destination: string, device: Pick<OverlayDevice, 'name' | 'mtu'>): NodeRoute | undefined {
    const claim = this.#claims.get(destination);
    if (!claim || this.#underlay.within(claim.destination)) return undefined;
    if (this.#ownCidrs.some((cidr) => prefixesOverlap(cidr, claim.destination))) return undefined;
    return { destination: claim.destination, device: device.name, mtu: device.mtu, source: this.#own.ip };
  }

  /** Everything that is announced, routed or not. */
  destinations(): Iterable<string> {
    return this.#claims.keys();
  }

  #claim(cidr: Prefix, nodeKey: string): string {
    const text = formatPrefix(cidr);
    const claim = this.#claims.get(text) ?? { destination: cidr, nodes: new Set() };
    claim.nodes.add(nodeKey);
    this.#claims.set(text, claim);
    return text;
  }

  #release(cidr: Prefix, nodeKey: string): string {
    const text = formatPrefix(cidr);
    const claim = this.#claims.get(text);
    claim?.nodes.delete(nodeKey);
    if (claim?.nodes.size === 0) this.#claims.delete(text);
    return text;
  }

  /** Blocks around either address become possible, or impossible. */
  *#moveEndpoint(from: number | undefined, to: number | undefined): Iterable<string> {
    if (from === to) return;
    for (const address of [from, to]) {
      if (address === undefined) continue;
      if (address === from) this.#underlay.remove(address);
      else this.#underlay.add(address);
      for (const block of this.#underlay.blocksAround(address)) if (this.#claims.has(block)) yield block;
    }
  }
}

function announced(node: NodeRecord): Announced {
  const endpoint = tunnelEndpointOf(node);
  return {
    endpoint: endpoint === undefined ? undefined : ipv4ToNumber(endpoint),
    podCidrs: node.podCidrs.filter(({ family }) => family === 4),
  };
}

/** A node without an endpoint cannot be reached. */
function claimedBy(node: Announced | undefined): readonly Prefix[] {
  return node?.endpoint === undefined ? [] : node.podCidrs;
}

function sameBlocks(a: readonly Prefix[], b: readonly Prefix[]): boolean {
  return a.map(formatPrefix).join() === b.map(formatPrefix).join();
}

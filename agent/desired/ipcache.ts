import { reservedIdentities } from '../../values/identity/index.ts';
import { type IpAddress, type Prefix, formatPrefix, hostPrefix, parsePrefix } from '../../values/ip/index.ts';
import { type IpRow, tunnelEndpointOf } from '../../clustermesh/index.ts';
import type { IpcacheEntry } from '../../datapath/index.ts';
import type { NodePrefix, NodeRole } from './node-prefixes.ts';
import { type OwnNode, ownNodeKey } from './own-node.ts';

/** All that is known of one prefix. */
export interface PrefixKnowledge {
  /** An endpoint of this node, as its agent knows it. */
  readonly local: { readonly identity: number } | undefined;
  /** The mesh view's winner. */
  readonly ip: IpRow | undefined;
  /** The node that stands behind the prefix. */
  readonly node: NodePrefix | undefined;
}

/**
 * What the datapath is to know of one prefix (clustermesh-behaviour §5.1, §5.2). Strongest first: an endpoint of this
 * node, an address of a node of our cluster, a record of the mesh, then what nodes announce; a pod CIDR is the fallback
 * that brings traffic to the right node before the pod's own address is known.
 *
 * A record of another cluster never speaks for this node: one whose host is our own address is passed over.
 */
export function ipcacheEntry(prefix: string, known: PrefixKnowledge, own: OwnNode): IpcacheEntry | undefined {
  if (known.local) return { prefix: prefixOf(prefix), identity: known.local.identity, encryptKey: 0 };
  const { node } = known;
  if (node?.role === 'address' && node.node.cluster === own.cluster) return nodeEntry(node, own);
  const fromIp = known.ip && ipEntry(known.ip, own);
  return fromIp ?? (node && nodeEntry(node, own));
}

function ipEntry({ prefix, hostIp, identity, encryptKey, origin }: IpRow, own: OwnNode): IpcacheEntry | undefined {
  const here = hostIp === own.ip;
  if (here && origin.cluster !== own.cluster) return undefined;
  const covers = prefix.address === own.ip && prefix.length === 32;
  if (covers && origin.cluster !== own.cluster) return undefined;
  return { prefix, identity, ...(here ? {} : tunnelTo(hostIp, own)), encryptKey };
}

const identityOf: Readonly<Record<NodeRole, number>> = {
  address: reservedIdentities.remoteNode,
  health: reservedIdentities.health,
  ingress: reservedIdentities.ingress,
  'pod-cidr': reservedIdentities.world,
};

function nodeEntry({ prefix, role, node }: NodePrefix, own: OwnNode): IpcacheEntry | undefined {
  const isOwn = `${node.cluster}/${node.name}` === ownNodeKey(own);
  if (isOwn) {
    // Our pod CIDR leads to endpoints that we know one by one. What is left of it is an address that no pod has (yet, or no
    // more): a tunnel to ourselves, which the programs drop. Routed, its packets would leave the node.
    if (role === 'pod-cidr') {
      return prefix.address.includes(':')
        ? undefined
        : { prefix, identity: identityOf[role], tunnelEndpoint: own.ip, encryptKey: 0 };
    }
    const identity = role === 'address' ? reservedIdentities.host : identityOf[role];
    return { prefix, identity, encryptKey: 0 };
  }
  const tunnel = tunnelTo(tunnelEndpointOf(node) ?? '', own);
  if (role === 'address') {
    if (formatPrefix(prefix) === `${own.ip}/32`) return undefined;
    // Tunnelled, unlike in Cilium, which would masquerade: a pod that talks to a node keeps its own address, and no
    // router of the underlay knows the way back to that.
    const remote = node.cluster === own.cluster ? {} : { remoteCluster: true };
    return { prefix, identity: identityOf.address, ...tunnel, encryptKey: 0, ...remote };
  }
  if (role === 'pod-cidr' && tunnel.tunnelEndpoint === undefined) return undefined;
  return { prefix, identity: identityOf[role], ...tunnel, encryptKey: node.encryptionKey };
}

/** Tunnels run over IPv4; one that would end at this node is none. */
function tunnelTo(host: string, own: OwnNode): { tunnelEndpoint?: IpAddress } {
  return host === '' || host === own.ip || host.includes(':') ? {} : { tunnelEndpoint: host };
}

function prefixOf(text: string): Prefix {
  return text.includes('/') ? parsePrefix(text) : hostPrefix(text);
}

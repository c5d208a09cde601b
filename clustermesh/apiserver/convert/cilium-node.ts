import { parsePrefix } from '../../../values/ip/index.ts';
import type { CiliumNode } from '../../../kubernetes/index.ts';
import type { NodeRecord } from '../../wire/index.ts';

/** The key of a node under WireGuard, and the name that it had before. */
const publicKeyAnnotations = ['network.cilium.io/wg-pub-key', 'io.cilium.network.wg-pub-key'];

/** The record of a CiliumNode (kvstore-schema §6), as Cilium 1.20 writes it: without `NodeIdentity`. */
export function nodeRecordOf(node: CiliumNode, cluster: { readonly name: string; readonly id: number }): NodeRecord {
  const { metadata, spec } = node;
  const cidrs = [...spec.ipam.podCIDRs, ...spec.ipam.pools.flatMap((pool) => pool.cidrs)];
  return {
    name: metadata.name,
    cluster: cluster.name,
    clusterId: cluster.id,
    addresses: spec.addresses,
    podCidrs: cidrs.map((cidr) => parsePrefix(cidr)),
    healthIps: [spec.health.ipv4, spec.health.ipv6].filter((ip) => ip !== undefined),
    ingressIps: [spec.ingress.ipv4, spec.ingress.ipv6].filter((ip) => ip !== undefined),
    source: 'custom-resource',
    encryptionKey: spec.encryptionKey,
    labels: orNull(metadata.labels),
    annotations: orNull(metadata.annotations),
    wireguardPublicKey: publicKeyAnnotations.map((name) => metadata.annotations[name]).find((key) => key) ?? '',
    bootId: spec.bootId,
  };
}

/** Go keeps a map that an object does not have as nil. */
function orNull(map: Readonly<Record<string, string>>): Readonly<Record<string, string>> | null {
  return Object.keys(map).length === 0 ? null : map;
}

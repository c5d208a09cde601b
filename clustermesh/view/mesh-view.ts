import type { IpAddress } from '../../values/ip/index.ts';
import type { IdentityRecord, IpRecord, NodeRecord } from '../wire/records.ts';

/** Where a fact comes from: a cluster's name, the own one included. */
export interface Origin {
  readonly cluster: string;
  readonly clusterId: number;
}

/**
 * Everything known of the mesh, merged: one winner a key. Writers (remote clusters, the local store) say what they know;
 * readers ask for what changed since a version. A version grows with every change of the view.
 *
 * Precedence of equal addresses: the own cluster wins over remote ones, among remote ones the last writer; when the
 * winner is withdrawn, the next one known takes its place.
 */
export interface MeshView {
  readonly version: number;
  nodes(): Iterable<NodeRecord>;
  node(cluster: string, name: string): NodeRecord | undefined;
  ip(prefix: string): IpRecord | undefined;
  ips(): Iterable<IpRecord>;
  identity(id: number): IdentityRecord | undefined;
  identities(): Iterable<IdentityRecord>;
  /** Prefixes (text) and nodes whose winner changed since `version`, deleted ones included. */
  changedSince(version: number): MeshChanges;
  /** Settles when the version is beyond `version`. */
  changed(version: number, signal: AbortSignal): Promise<void>;
}

export interface MeshChanges {
  readonly version: number;
  readonly ips: readonly string[];
  /** `<cluster>/<node>`. */
  readonly nodes: readonly string[];
  readonly identities: readonly number[];
}

/** Where the tunnel to a node ends: see {@link NodeRecord} addresses and kvstore-schema §6 for the rule. */
export type TunnelEndpointOf = (node: NodeRecord) => IpAddress | undefined;

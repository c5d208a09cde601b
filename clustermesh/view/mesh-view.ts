import type { Prefix } from '../../values/ip/index.ts';
import type { RowObserver } from '../../kvstore/index.ts';
import type { AddressProblem, AddressRules, HostProblem } from '../acceptance/index.ts';
import type { RemoteOrigin } from '../wire/index.ts';
import type { IdentityRecord, IpRecord, NodeRecord } from '../wire/records.ts';
import type { Origin, Sourced } from './origin.ts';

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
  /** A node by its key `<cluster>/<node>`, as {@link MeshChanges} names it. */
  nodeByKey(key: string): NodeRecord | undefined;
  /** The winner of a prefix (`10.1.0.7/32`). */
  ip(prefix: string): IpRecord | undefined;
  /** The winner of a prefix together with the cluster that says so. */
  ipSource(prefix: string): Sourced<IpRecord> | undefined;
  ips(): Iterable<IpRecord>;
  ipSources(): Iterable<Sourced<IpRecord>>;
  /** The winner of a prefix without what only people want to know of it: what a datapath needs, at a tenth of the cost. */
  ipRow(prefix: string): IpRow | undefined;
  /** All winners that way. */
  ipRows(): Iterable<IpRow>;
  ipPrefixes(): Iterable<string>;
  identity(id: number): IdentityRecord | undefined;
  identities(): Iterable<IdentityRecord>;
  identitySources(): Iterable<Sourced<IdentityRecord>>;
  /** What `cluster` says at this moment, whether it wins or not. O(size of the view). */
  saidBy(cluster: string): ClusterRecords;
  readonly counts: { readonly nodes: number; readonly ips: number; readonly identities: number };
  /**
   * Prefixes (text) and nodes whose winner changed since `version`, deleted ones included. O(changes), until `version`
   * is older than the log of changes reaches: then `complete` is false and the caller must look at everything, and at
   * what it holds itself, to find what is gone.
   */
  changedSince(version: number): MeshChanges;
  /** Settles when the version is beyond `version`. @throws the signal's reason when it aborts first. */
  changed(version: number, signal: AbortSignal): Promise<void>;
  /** The pen of one cluster. Asking twice gives pens that write the same claims. */
  writer(origin: Origin): MeshWriter;
}

/** What of an address leads packets to it. */
export interface IpRow {
  readonly prefix: Prefix;
  /** Node address; empty when unknown. */
  readonly hostIp: IpRecord['hostIp'];
  readonly identity: number;
  readonly encryptKey: number;
  readonly origin: Origin;
}

/** The records of one cluster. */
export interface ClusterRecords {
  readonly nodes: readonly NodeRecord[];
  /** Made one by one while they are read: there may be a million. */
  readonly ips: Iterable<IpRecord>;
  readonly identities: readonly IdentityRecord[];
}

export interface MeshChanges {
  readonly version: number;
  /** False: the lists are empty because too much changed to say; audit. */
  readonly complete: boolean;
  readonly ips: readonly string[];
  /** `<cluster>/<node>`. */
  readonly nodes: readonly string[];
  readonly identities: readonly number[];
}

/** What rows have to obey, beside their form. */
export interface IpRowRules {
  /** Whose identities they may have; any unless given. */
  readonly origin?: RemoteOrigin;
  readonly translate?: (identity: number) => number;
  /** Where they may lie; asked for each row, so that they may change. */
  readonly addresses?: () => AddressRules;
}

/** An address that was let in and is no longer to be. */
export interface RefusedIp {
  /** As text, host prefixes too (`10.1.0.7/32`). */
  readonly prefix: string;
  readonly problem: AddressProblem | HostProblem;
}

/** What one cluster says. Repeating a value, and removing what is not there, changes nothing. */
export interface MeshWriter {
  readonly origin: Origin;
  upsertNode(record: NodeRecord): void;
  removeNode(name: string): void;
  hasNode(name: string): boolean;
  upsertIp(record: IpRecord): void;
  /** By prefix text, host prefixes too (`10.1.0.7/32`). */
  removeIp(prefix: string): void;
  /**
   * The addresses of the cluster as rows that a watch store fills from bytes: what is in the ordinary form becomes no
   * object. What the rules refuse is no row.
   */
  ipRows(rules?: IpRowRules): RowObserver;
  /** Addresses of the cluster that these rules would not let in. O(size of the view). */
  refusedIps(rules: AddressRules): readonly RefusedIp[];
  upsertIdentity(record: IdentityRecord): void;
  removeIdentity(id: number): void;
  hasIdentity(id: number): boolean;
  /** Withdraws everything that the cluster has said. O(size of the view): for removal of a cluster, never in the flow. */
  drain(): void;
}

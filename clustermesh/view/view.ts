import type { IdentityRecord, IpRecord, NodeRecord } from '../wire/records.ts';
import { IpRows } from './ip-rows.ts';
import { IpTable } from './ip-table.ts';
import { MergedTable } from './merged-table.ts';
import type { ClusterRecords, IpRow, MeshChanges, MeshView, MeshWriter } from './mesh-view.ts';
import type { Origin, Sourced } from './origin.ts';
import { sameIdentity, sameNode } from './same-record.ts';
import { VersionSource } from './version-source.ts';

export interface MeshViewOptions {
  /** Its records win over those of any other cluster. */
  readonly ownCluster: string;
  /** Changes of each kind that are remembered one by one; 65,536 unless told. */
  readonly logCapacity?: number;
}

export function createMeshView(options: MeshViewOptions): MeshView {
  return new MergedMeshView(options);
}

/** `<cluster>/<node>`. */
export function nodeKeyOf(cluster: string, name: string): string {
  return `${cluster}/${name}`;
}

class MergedMeshView implements MeshView {
  readonly #versions = new VersionSource();
  readonly #nodes: MergedTable<string, NodeRecord>;
  readonly #ips: IpTable;
  readonly #identities: MergedTable<number, IdentityRecord>;

  constructor({ ownCluster, logCapacity = 65_536 }: MeshViewOptions) {
    this.#nodes = new MergedTable(ownCluster, this.#versions, { same: sameNode, logCapacity });
    this.#ips = new IpTable(ownCluster, this.#versions, logCapacity);
    this.#identities = new MergedTable(ownCluster, this.#versions, { same: sameIdentity, logCapacity });
  }

  get version(): number {
    return this.#versions.version;
  }

  get counts(): MeshView['counts'] {
    return { nodes: this.#nodes.size, ips: this.#ips.size, identities: this.#identities.size };
  }

  nodes(): Iterable<NodeRecord> {
    return records(this.#nodes.values());
  }

  node(cluster: string, name: string): NodeRecord | undefined {
    return this.#nodes.get(nodeKeyOf(cluster, name))?.record;
  }

  nodeByKey(key: string): NodeRecord | undefined {
    return this.#nodes.get(key)?.record;
  }

  ip(prefix: string): IpRecord | undefined {
    return this.#ips.get(prefix)?.record;
  }

  ipSource(prefix: string): Sourced<IpRecord> | undefined {
    return this.#ips.get(prefix);
  }

  ips(): Iterable<IpRecord> {
    return records(this.#ips.records());
  }

  ipSources(): Iterable<Sourced<IpRecord>> {
    return this.#ips.records();
  }

  ipPrefixes(): Iterable<string> {
    return this.#ips.prefixes();
  }

  ipRow(prefix: string): IpRow | undefined {
    return this.#ips.row(prefix);
  }

  ipRows(): Iterable<IpRow> {
    return this.#ips.rowsInUse();
  }

  identity(id: number): IdentityRecord | undefined {
    return this.#identities.get(id)?.record;
  }

  identities(): Iterable<IdentityRecord> {
    return records(this.#identities.values());
  }

  identitySources(): Iterable<Sourced<IdentityRecord>> {
    return this.#identities.values();
  }

  saidBy(cluster: string): ClusterRecords {
    return {
      nodes: this.#nodes.saidBy(cluster),
      ips: this.#ips.saidBy(cluster),
      identities: this.#identities.saidBy(cluster),
    };
  }

  changedSince(version: number): MeshChanges {
    const ips = this.#ips.since(version);
    const nodes = this.#nodes.since(version);
    const identities = this.#identities.since(version);
    if (!ips || !nodes || !identities)
      return { version: this.version, complete: false, ips: [], nodes: [], identities: [] };
    return { version: this.version, complete: true, ips: [...ips], nodes: [...nodes], identities: [...identities] };
  }

  changed(version: number, signal: AbortSignal): Promise<void> {
    return this.#versions.changed(version, signal);
  }

  writer(origin: Origin): MeshWriter {
    const nodes = this.#nodes;
    const ips = this.#ips;
    const identities = this.#identities;
    const { cluster } = origin;
    const scope = ips.scopeOf(origin);
    return {
      origin,
      upsertNode: (record) => nodes.upsert(origin, nodeKeyOf(cluster, record.name), record),
      removeNode: (name) => void nodes.remove(origin, nodeKeyOf(cluster, name)),
      hasNode: (name) => nodes.isClaimed(origin, nodeKeyOf(cluster, name)),
      upsertIp: (record) => ips.upsert(scope, record),
      removeIp: (prefix) => void ips.remove(scope, prefix),
      ipRows: (rules = {}) => new IpRows(ips, scope, rules),
      refusedIps: (rules) => [...ips.refused(scope, rules)],
      upsertIdentity: (record) => identities.upsert(origin, record.id, record),
      removeIdentity: (id) => void identities.remove(origin, id),
      hasIdentity: (id) => identities.isClaimed(origin, id),
      drain: () => {
        for (const key of nodes.claimedBy(origin)) nodes.remove(origin, key);
        ips.drain(scope);
        for (const key of identities.claimedBy(origin)) identities.remove(origin, key);
      },
    };
  }
}

function* records<V>(sources: Iterable<Sourced<V>>): Iterable<V> {
  for (const source of sources) yield source.record;
}

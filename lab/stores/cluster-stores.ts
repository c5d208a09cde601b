import { join } from 'node:path';
import { type LabPaths, apiserverPaths } from '../state/index.ts';
import type { LabSubstrate } from '../substrate/index.ts';

/** Where a cluster of a lab keeps its records. */
export const labStoreKinds = ['embedded', 'etcd', 'consul'] as const;
export type LabStoreKind = (typeof labStoreKinds)[number];

/** Beside the port of an apiserver's own store. */
const portOffsets = { embedded: 0, etcd: 10, consul: 20 } as const;

/** Which store each cluster of a lab uses, and how it is reached: by the cluster's own processes, and by other clusters. */
export class ClusterStores {
  readonly #paths: LabPaths;
  readonly #substrate: Pick<LabSubstrate, 'storeAddress'>;
  readonly #kinds = new Map<string, LabStoreKind>();
  readonly #first: LabStoreKind;

  constructor(first: LabStoreKind, paths: LabPaths, substrate: Pick<LabSubstrate, 'storeAddress'>) {
    this.#first = first;
    this.#paths = paths;
    this.#substrate = substrate;
  }

  kindOf(cluster: string): LabStoreKind {
    return this.#kinds.get(cluster) ?? this.#first;
  }

  setKind(cluster: string, kind: LabStoreKind): void {
    this.#kinds.set(cluster, kind);
  }

  /** `host` and `port` where the store of this kind listens. */
  address(cluster: string, kind: LabStoreKind): { readonly host: string; readonly port: number } {
    const { host, port } = this.#substrate.storeAddress(cluster);
    return { host, port: port + portOffsets[kind] };
  }

  /** Where the server of a store keeps its data. */
  dataDirectory(cluster: string, kind: LabStoreKind): string {
    const paths = apiserverPaths(this.#paths, cluster);
    return kind === 'embedded' ? paths.dataDirectory : join(paths.directory, kind);
  }

  /** Configuration file of a store of this kind, for the processes of its own cluster. */
  ownConfig(cluster: string, kind: LabStoreKind): string {
    const { host, port } = this.address(cluster, kind);
    return kind === 'consul' ? `addresses:\n- http://${host}:${port}\n` : `endpoints:\n- http://${host}:${port}\n`;
  }

  /** An etcd client configuration, as Cilium mounts it. Of a cluster in Consul, others read the mirror of its apiserver. */
  peerConfig(cluster: string): string {
    const kind = this.kindOf(cluster);
    const { host, port } = this.address(cluster, kind === 'consul' ? 'embedded' : kind);
    return `endpoints:\n- http://${host}:${port}\n`;
  }

  /** The word that names a store of this kind to `isthmus store`, once {@link ownConfig} is written to {@link configFile}. */
  named(cluster: string, kind: LabStoreKind): string {
    return `${kind === 'consul' ? 'consul' : 'etcd'}:${this.configFile(cluster, kind)}`;
  }

  configFile(cluster: string, kind: LabStoreKind): string {
    return join(apiserverPaths(this.#paths, cluster).directory, `${kind}.yaml`);
  }

  /** Options of an apiserver that tell it where its store is. */
  apiserverArguments(cluster: string): readonly string[] {
    const kind = this.kindOf(cluster);
    const served = this.address(cluster, 'embedded');
    const listen = `${served.host}:${served.port}`;
    if (kind === 'embedded') return ['--data-dir', this.dataDirectory(cluster, kind), '--listen', listen];
    const own = ['--store', kind, '--store-config', this.configFile(cluster, kind)];
    return kind === 'consul' ? [...own, '--mirror-listen', listen] : own;
  }
}

import type { MaxConnectedClusters } from '../../values/identity/index.ts';
import type { ObjectReader } from './object-reader.ts';

/** What a reader knows of the cluster whose records it reads, from its own configuration and the cluster's config. */
export interface RemoteOrigin {
  /** Name by which the cluster is configured here. */
  readonly cluster: string;
  /** Id from the cluster's config. */
  readonly clusterId: number;
  /** 255 unless told. */
  readonly maxConnectedClusters?: MaxConnectedClusters;
}

/** Names of clusters: 1–32 characters (kvstore-schema §15). */
export function isClusterName(name: string): boolean {
  return name.length <= 32 && /^([a-z0-9][-a-z0-9]*)?[a-z0-9]$/.test(name);
}

/** Rules that nodes and services share: right cluster name, right id. */
export function checkOrigin(
  reader: ObjectReader,
  members: { readonly cluster: string; readonly id: string },
  found: { readonly cluster: string; readonly clusterId: number },
  origin: RemoteOrigin,
): void {
  if (found.cluster !== origin.cluster)
    throw reader.error(members.cluster, `the cluster's name ${JSON.stringify(origin.cluster)}`, found.cluster, foreign);
  if (found.clusterId !== origin.clusterId)
    throw reader.error(members.id, `the cluster's id ${origin.clusterId}`, found.clusterId, foreign);
}

const foreign = { fault: 'foreign-cluster' } as const;

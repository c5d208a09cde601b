import type { ClusterConfigRecord } from '../wire/index.ts';

/** One key of a remote cluster as its store held it. */
export interface RememberedRecord {
  /** The word of the kind, as in the key: `nodes`, `services`, `identities`, `ip`. */
  readonly kind: string;
  /** What follows the kind's prefix. */
  readonly key: string;
  readonly value: string;
}

/** What is worth keeping of a remote cluster for the next life of this process. */
export interface ClusterContent {
  /** What the cluster said of itself: its records are void under another id. */
  readonly config: ClusterConfigRecord;
  /** Kind by kind, the least dispensable first: what exceeds the limit is left out from the end. */
  readonly kinds: readonly { readonly kind: string; readonly records: Iterable<Omit<RememberedRecord, 'kind'>> }[];
}

/** What an earlier life knew of a remote cluster. */
export interface RememberedCluster {
  readonly config: ClusterConfigRecord;
  readonly records: readonly RememberedRecord[];
  /** Kinds that were too much to be kept. */
  readonly leftOut: readonly string[];
  /** Wall time at which this was last known to be so. */
  readonly asOfMs: number;
}

/** `lost`: there was something, and it cannot be used. That differs from a cluster of which nothing was ever known. */
export type Recollection =
  | { readonly state: 'none' }
  | { readonly state: 'found'; readonly cluster: RememberedCluster }
  | { readonly state: 'lost'; readonly reason: string };

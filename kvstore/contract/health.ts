/** What a store client knows of its connection right now. */
export interface StoreHealth {
  readonly connected: boolean;
  /** The store's own id (etcd's `cluster_id`), in hex; absent before the first answer. */
  readonly storeId?: string;
  /** Highest revision seen in any answer. */
  readonly revision: number;
  /** Clock time (ms) of the last answer; absent before the first. */
  readonly lastContactMs?: number;
  /** Where the connection goes, without credentials. */
  readonly endpoint: string;
  /** The last failure, in words; absent while connected. */
  readonly error?: string;
  /** That failure was one of trust: certificates, not the way to it. */
  readonly distrusted?: true;
  /** Clock time (ms) since when it cannot be reached; absent while connected. */
  readonly lostSinceMs?: number;
  readonly reconnections: number;
}

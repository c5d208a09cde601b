import type { CallOptions } from './call-options.ts';
import type { StoreHealth } from './health.ts';
import type { Bytes, KeyValue } from './key-value.ts';
import type { Lease, LeaseOptions, Lock, LockOptions } from './lease.ts';
import type { Transaction, TransactionResult } from './transaction.ts';
import type { WatchBatch, WatchOptions } from './watch.ts';

export interface ReadOptions extends CallOptions {
  /** Reads the state of this revision. @throws {CompactedError} {@link FutureRevisionError} */
  readonly revision?: number;
}

export interface PutOptions extends CallOptions {
  /** The key goes when this lease goes. A put without lease detaches the key from the one it had. */
  readonly lease?: bigint;
}

export interface ListOptions extends ReadOptions {
  /** Upper bound of entries a page; a store may send fewer. */
  readonly pageSize?: number;
}

/** Part of one listing. All pages of a listing show the same revision. Entries are in byte order of their keys. */
export interface Page {
  readonly entries: readonly KeyValue[];
  readonly revision: number;
  readonly more: boolean;
}

/** What a write gives back: the store's revision that it made (or found, when it changed nothing). */
export interface WriteResult {
  readonly revision: number;
}

/** Writes beyond these are refused with an `InvalidRequestError` that names the key. */
export interface StoreLimits {
  readonly maxValueBytes: number;
  /** Of all keys and values of one transaction together. */
  readonly maxTransactionBytes: number;
}

/**
 * The port: one key-value store (embedded, etcd, Consul, memory). Revisions count the store's write transactions, as in
 * etcd; a reader sees only what is on disk. Every method is safe to call concurrently; writes of one caller that are
 * awaited one after another take effect in that order.
 *
 * Errors are the classes of `errors.ts`; each says by `retry` what the caller may do.
 */
export interface Store extends AsyncDisposable {
  /** What this store takes less of than the contract says; absent where it takes all of it. */
  readonly limits?: StoreLimits;
  get(key: Bytes, options?: ReadOptions): Promise<KeyValue | undefined>;
  put(key: Bytes, value: Bytes, options?: PutOptions): Promise<WriteResult>;
  /** Deletes one key; `deleted` is false when there was none (then no revision is made). */
  delete(key: Bytes, options?: CallOptions): Promise<WriteResult & { readonly deleted: boolean }>;
  /** Deletes every key that begins with `prefix`, in one revision. An empty prefix deletes all. */
  deletePrefix(prefix: Bytes, options?: CallOptions): Promise<WriteResult & { readonly deleted: number }>;
  /** Lists `prefix` at one revision, page by page. An empty prefix lists all. At least one page comes. */
  list(prefix: Bytes, options?: ListOptions): AsyncIterable<Page>;
  /**
   * Lists `prefix`, then follows it until `signal` aborts (the iteration then ends without error). Reconnects and
   * resumes by itself; see {@link WatchBatch} for what comes when.
   * @throws {PermissionDeniedError} and other errors whose `retry` is `never`.
   */
  listAndWatch(prefix: Bytes, options: WatchOptions): AsyncIterable<WatchBatch>;
  /** Applies all or nothing, as one revision. @see Transaction */
  transact(transaction: Transaction, options?: CallOptions): Promise<TransactionResult>;
  /** Grants a lease and keeps it alive until it is revoked, disposed of or lost. */
  grantLease(options: LeaseOptions): Promise<Lease>;
  /**
   * Seconds that anybody's lease has left; undefined when it is gone. Absent where the store does not tell, as Consul.
   * @throws {PermissionDeniedError} where it is alive and none of the caller's business
   */
  leaseTtl?(id: bigint, options?: CallOptions): Promise<number | undefined>;
  /** Waits until this caller is the only holder of `name`. */
  lock(name: Bytes, options?: LockOptions): Promise<Lock>;
  /** What is known of the connection, without asking the store. */
  health(): StoreHealth;
}

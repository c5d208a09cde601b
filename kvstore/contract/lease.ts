import type { CallOptions } from './call-options.ts';
import type { Compare } from './transaction.ts';

export interface LeaseOptions extends CallOptions {
  /** The keys of the lease go this long after the last sign of life; stores round up to whole seconds. */
  readonly ttlSeconds: number;
}

/**
 * A lease that renews itself at a third of its time to live. Disposing of it only stops the renewal: an orderly stop
 * withdraws nothing, the keys stay until the lease expires. `revoke` removes the keys at once.
 */
export interface Lease extends AsyncDisposable {
  readonly id: bigint;
  readonly ttlSeconds: number;
  /** Aborts once, when the lease is gone or may be gone (its time ran out without an answer, by a monotonic clock). */
  readonly lost: AbortSignal;
  revoke(): Promise<void>;
}

export interface LockOptions {
  /** Time to live of the lock's own lease; 25 s unless told (Cilium's lock lease). */
  readonly ttlSeconds?: number;
  readonly signal?: AbortSignal;
}

/** Exclusive ownership of a name, as long as `lost` has not aborted. */
export interface Lock extends AsyncDisposable {
  /** The key that stands for this ownership: `<name>/<lease id in hex>`. */
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly lost: AbortSignal;
  /** Put into a transaction, this makes the write itself fail when the lock is no longer held. */
  fence(): Compare;
  release(): Promise<void>;
}

import type { Lease, Store } from '../../../../kvstore/index.ts';
import type { Disturbance, StorePromises } from './ports.ts';

/** A store with one wrong behaviour, and the promise whose cases must find it. */
export interface Defect {
  /** Reads behind "a store that". */
  readonly title: string;
  readonly promise: string;
  /** Of the promise's cases only those with this title are tried: others would take long. */
  readonly finder?: RegExp;
  /** It is found by something that does not come, which takes a while. */
  readonly waits?: boolean;
  /** How long its cases wait for what does not come, where a store without the defect needs longer than two seconds. */
  readonly patienceMs?: number;
  /** Only where the store makes this promise, or the harness can do this. */
  readonly where?: (promises: StorePromises, disturbances: readonly Disturbance[]) => boolean;
  readonly wrap: (store: Store) => Store;
}

/** The same lease, revoked in another way, with another time to live. */
export function leaseLike(
  lease: Lease,
  revoke: (lease: Lease) => PromiseLike<void>,
  ttlSeconds = lease.ttlSeconds,
): Lease {
  return {
    id: lease.id,
    ttlSeconds,
    lost: lease.lost,
    revoke: async () => revoke(lease),
    [Symbol.asyncDispose]: () => Promise.resolve(lease[Symbol.asyncDispose]()),
  };
}

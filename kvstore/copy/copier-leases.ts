import type { Bytes, KeyValue, Lease, LeaseOptions, Store } from '../contract/index.ts';
import { toBytes } from '../contract/index.ts';
import { LeasePool, type LeaseSlot } from '../sync/index.ts';

/** One key for each lease of a copier, held by that lease: so a later copier knows whose keys it may take over. */
export const copiesPrefix = 'isthmus/v1/copies/';
const copies = Buffer.from(copiesPrefix);

/** True for keys that say something of copying: they belong to one store and are neither copied nor compared. */
export function isCopyRecord(key: Uint8Array): boolean {
  return key.length >= copies.length && Buffer.compare(key.subarray(0, copies.length), copies) === 0;
}

export interface CopierLeasesOptions {
  readonly store: Pick<Store, 'grantLease' | 'put' | 'list'>;
  readonly ttlSeconds: number;
  /** Where the keys come from, for people who read the records. */
  readonly from: string;
  readonly onLost: () => void;
}

/** The leases under which copied keys arrive, and those of earlier copiers that still live. */
export class CopierLeases implements AsyncDisposable {
  readonly #options: CopierLeasesOptions;
  readonly #earlier = new Set<bigint>();
  readonly #pool: LeasePool;

  constructor(options: CopierLeasesOptions) {
    this.#options = options;
    this.#pool = new LeasePool({
      store: { grantLease: (lease) => this.#grant(lease) },
      ttlSeconds: options.ttlSeconds,
      maxKeys: 1000,
      onLost: () => options.onLost(),
    });
  }

  /** Finds the leases of earlier copiers. */
  async load(signal: AbortSignal): Promise<void> {
    for await (const { entries } of this.#options.store.list(copiesPrefix, { signal }))
      for (const { lease } of entries) this.#earlier.add(lease);
  }

  /** Whether a copier wrote what this lease holds. */
  isCopier({ lease }: Pick<KeyValue, 'lease'>): boolean {
    return lease !== 0n && (this.#pool.owns(lease) || this.#earlier.has(lease));
  }

  /** Whether this very copier did. */
  isOwn({ lease }: Pick<KeyValue, 'lease'>): boolean {
    return this.#pool.owns(lease);
  }

  attach(key: string, signal: AbortSignal): Promise<LeaseSlot> {
    return this.#pool.attach(key, signal);
  }

  detach(key: string, slot: LeaseSlot): void {
    this.#pool.detach(key, slot);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  async #grant(options: LeaseOptions): Promise<Lease> {
    const { store, from } = this.#options;
    const lease = await store.grantLease(options);
    const key: Bytes = `${copiesPrefix}${lease.id.toString(16)}`;
    const signal = options.signal ? { signal: options.signal } : {};
    await store.put(key, toBytes(JSON.stringify({ from })), { lease: lease.id, ...signal });
    return lease;
  }
}

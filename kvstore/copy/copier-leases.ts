import type { Bytes, KeyValue, Lease, LeaseOptions, Store } from '../contract/index.ts';
import { toBytes } from '../contract/index.ts';
import { LeasePool, type LeaseSlot } from '../sync/index.ts';
import { BroughtKeys } from './brought-keys.ts';

/**
 * One key for each lease of a copier, held by that lease: so a later copier knows whose keys it may take over. Below it, under
 * that lease, too, stand the records of what was brought without lease.
 */
export const copiesPrefix = 'isthmus/v1/copies/';
const copies = Buffer.from(copiesPrefix);
const slash = 0x2f;

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
  #records = 0;
  /** What copiers wrote that no lease holds. */
  readonly brought: BroughtKeys;

  constructor(options: CopierLeasesOptions) {
    this.#options = options;
    this.#pool = new LeasePool({
      store: { grantLease: (lease) => this.#grant(lease) },
      ttlSeconds: options.ttlSeconds,
      maxKeys: 1000,
      onLost: () => options.onLost(),
    });
    this.brought = new BroughtKeys(async (signal) => {
      // Taken before anything is awaited: several are made at a time.
      const number = ++this.#records;
      const slot = await this.#pool.attach(`record ${number}`, signal);
      return { key: `${recordKey(slot.lease.id)}/${number}`, slot };
    });
  }

  /** Finds the leases of earlier copiers, and what all of them brought without. */
  async load(signal: AbortSignal): Promise<void> {
    const records: KeyValue[] = [];
    for await (const { entries } of this.#options.store.list(copiesPrefix, { signal }))
      for (const entry of entries) {
        this.#earlier.add(entry.lease);
        if (entry.key.includes(slash, copies.length))
          records.push({ ...entry, key: new Uint8Array(entry.key), value: new Uint8Array(entry.value) });
      }
    this.brought.learn(records);
  }

  /** Whether a copier wrote what this lease holds. */
  isCopier({ lease }: Pick<KeyValue, 'lease'>): boolean {
    return lease !== 0n && (this.#pool.owns(lease) || this.#earlier.has(lease));
  }

  /** Whether this very copier did, and keeps it alive. */
  isKept({ lease }: Pick<KeyValue, 'lease'>): boolean {
    return this.#pool.renews(lease);
  }

  /** The store does not know one of the leases. */
  loseAll(): void {
    this.#pool.loseAll();
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
    const key: Bytes = recordKey(lease.id);
    const signal = options.signal ? { signal: options.signal } : {};
    try {
      await store.put(key, toBytes(JSON.stringify({ from })), { lease: lease.id, ...signal });
    } catch (error) {
      await lease[Symbol.asyncDispose]();
      throw error;
    }
    return lease;
  }
}

function recordKey(lease: bigint): string {
  return `${copiesPrefix}${lease.toString(16)}`;
}

import type { Lease, Store } from '../contract/index.ts';

/** A lease with the keys that were written under it. */
export interface LeaseSlot {
  readonly lease: Lease;
  readonly keys: Set<string>;
  /** True once the lease is gone or about to go: its keys have to be written again under another one. */
  lost: boolean;
}

export interface LeasePoolOptions {
  readonly store: Pick<Store, 'grantLease'>;
  readonly ttlSeconds: number;
  /** A lease takes this many keys, then another one is granted: etcd's cost of a put grows with its lease. */
  readonly maxKeys: number;
  /** Told once for each lease that is lost; its keys are still in the slot. */
  readonly onLost: (slot: LeaseSlot) => void;
}

/** Leases for many keys. A key stays with its lease as long as both live. */
export class LeasePool implements AsyncDisposable {
  readonly #options: LeasePoolOptions;
  readonly #slots = new Set<LeaseSlot>();
  readonly #ids = new Set<bigint>();
  readonly #renewed = new Set<bigint>();

  constructor(options: LeasePoolOptions) {
    this.#options = options;
  }

  /** Leases that are alive. */
  get size(): number {
    return this.#slots.size;
  }

  /** Whether this pool has ever granted the lease: what is attached to it was written by us. */
  owns(leaseId: bigint): boolean {
    return this.#ids.has(leaseId);
  }

  /** Whether the lease is one of ours and still renewed: what was lost for us may be there for a while. */
  renews(leaseId: bigint): boolean {
    return this.#renewed.has(leaseId);
  }

  /** Puts a key into a lease with room, granting one if there is none. */
  async attach(key: string, signal: AbortSignal): Promise<LeaseSlot> {
    let slot = this.#withRoom();
    if (!slot) {
      const lease = await this.#options.store.grantLease({ ttlSeconds: this.#options.ttlSeconds, signal });
      slot = this.#add(lease);
    }
    slot.keys.add(key);
    return slot;
  }

  detach(key: string, slot: LeaseSlot): void {
    slot.keys.delete(key);
  }

  /** Takes a lease out of use, as when the store says that it does not exist. */
  lose(slot: LeaseSlot): void {
    if (slot.lost) return;
    slot.lost = true;
    this.#slots.delete(slot);
    this.#renewed.delete(slot.lease.id);
    this.#options.onLost(slot);
    void slot.lease[Symbol.asyncDispose]();
  }

  /** As {@link lose} of every lease, where nobody says which of them it is. */
  loseAll(): void {
    for (const slot of this.#slots) this.lose(slot);
  }

  /** Revokes all leases: whatever is still attached to them goes at once. */
  async revokeAll(): Promise<void> {
    const slots = [...this.#slots];
    this.#slots.clear();
    this.#renewed.clear();
    for (const slot of slots) {
      slot.lost = true;
      await slot.lease.revoke();
    }
  }

  /** Ends the renewal only; the keys stay until their leases expire. */
  async [Symbol.asyncDispose](): Promise<void> {
    const slots = [...this.#slots];
    this.#slots.clear();
    this.#renewed.clear();
    await Promise.all(slots.map((slot) => slot.lease[Symbol.asyncDispose]()));
  }

  #withRoom(): LeaseSlot | undefined {
    for (const slot of this.#slots) if (slot.keys.size < this.#options.maxKeys) return slot;
    return undefined;
  }

  #add(lease: Lease): LeaseSlot {
    const slot: LeaseSlot = { lease, keys: new Set(), lost: false };
    this.#slots.add(slot);
    this.#ids.add(lease.id);
    this.#renewed.add(lease.id);
    lease.lost.addEventListener('abort', () => this.lose(slot), { once: true });
    if (lease.lost.aborted) this.lose(slot);
    return slot;
  }
}

import type { Row, Steps, StoredLease } from '../engine/index.ts';
import { LeaseKeys } from './lease-keys.ts';
import { type StoredRow, idBuffer, keyBuffer, leaseKey } from './row-codec.ts';
import type { Table, TableWrite, Tables } from './table-types.ts';

export interface LmdbLeasesOptions {
  readonly tables: Pick<Tables, 'lease' | 'lk' | 'root'>;
  /** Durable writes of a table that are not in it yet, oldest first. */
  readonly unapplied: (table: Table) => Iterable<TableWrite>;
}

const nothing: readonly TableWrite[] = [];

/**
 * Leases, and which keys are under them, as of the newest write. What changes them gives the writes by which a group says so; nothing is
 * written here.
 */
export class LmdbLeases {
  readonly #options: LmdbLeasesOptions;
  readonly #leases = new Map<bigint, StoredLease>();
  readonly #keys: LeaseKeys;

  constructor(options: LmdbLeasesOptions) {
    this.#options = options;
    this.#keys = new LeaseKeys(options);
  }

  all(): readonly StoredLease[] {
    return [...this.#leases.values()];
  }

  keysOf(id: bigint): Uint8Array[] {
    return [...this.#keys.of(id).values()];
  }

  *keysOfSteps(id: bigint): Steps<Uint8Array[]> {
    return [...(yield* this.#keys.steps(id)).values()];
  }

  put(lease: StoredLease): TableWrite {
    this.#leases.set(lease.id, lease);
    this.#keys.begin(lease.id);
    const value = Buffer.alloc(8);
    value.writeDoubleBE(lease.ttlSeconds, 0);
    return { table: this.#options.tables.lease, key: idBuffer(lease.id), value };
  }

  remove(id: bigint): TableWrite {
    this.#leases.delete(id);
    this.#keys.delete(id);
    return { table: this.#options.tables.lease, key: idBuffer(id) };
  }

  /** A row takes its key from the lease of the one that it replaces to its own. */
  moveKey(row: StoredRow, replaced: Row | undefined): readonly TableWrite[] {
    const before = replaced?.kv.lease ?? 0n;
    const after = row.kv.lease;
    if (before === after) return nothing;
    const { lk } = this.#options.tables;
    const writes: TableWrite[] = [];
    if (replaced && before !== 0n) {
      const key = leaseKey(before, replaced);
      this.#keys.of(before).delete(key.toString('latin1'));
      writes.push({ table: lk, key });
    }
    if (after !== 0n) {
      const key = leaseKey(after, row);
      this.#keys.of(after).set(key.toString('latin1'), row.kv.key);
      writes.push({ table: lk, key, value: keyBuffer(row) });
    }
    return writes;
  }

  /** Back to what is durable: first this, then {@link load}. */
  forgetKeys(): void {
    this.#keys.clear();
  }

  /** @param times seconds that leases had left when the store was closed */
  load(times: ReadonlyMap<bigint, number> = new Map()): void {
    const { tables, unapplied } = this.#options;
    this.#leases.clear();
    const load = (key: Buffer, value: Buffer | undefined): void => {
      const id = key.readBigInt64BE(0);
      const leftSeconds = times.get(id);
      const left = leftSeconds === undefined ? {} : { leftSeconds };
      if (value) this.#leases.set(id, { id, ttlSeconds: value.readDoubleBE(0), ...left });
      else this.#leases.delete(id);
    };
    for (const { key, value } of tables.lease.getRange({})) load(key, value);
    for (const { key, value } of unapplied(tables.lease)) load(key, value);
  }
}

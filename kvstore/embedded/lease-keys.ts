import { type Steps, stepRows } from '../engine/index.ts';
import type { Table, TableWrite, Tables } from './table-types.ts';

export interface LeaseKeysOptions {
  readonly tables: Pick<Tables, 'lk' | 'root'>;
  /** Durable writes of a table that are not in it yet, oldest first. */
  readonly unapplied: (table: Table) => Iterable<TableWrite>;
}

/**
 * Keys of those leases that were touched since the start, under their keys in the table; it has the rest. First use reads it;
 * from then on who writes keeps the map right, also before the write is on disk.
 */
export class LeaseKeys {
  readonly #options: LeaseKeysOptions;
  readonly #leases = new Map<bigint, Map<string, Uint8Array>>();
  /** How often leases were forgotten. */
  #forgotten = 0;

  constructor(options: LeaseKeysOptions) {
    this.#options = options;
  }

  of(id: bigint): Map<string, Uint8Array> {
    const known = this.#leases.get(id);
    if (known) return known;
    const keys = new Map<string, Uint8Array>();
    for (const { key, value } of this.#options.tables.lk.getRange(rangeOf(id))) add(keys, key, value);
    for (const { key, value } of this.#unapplied(id)) add(keys, key, value);
    this.#leases.set(id, keys);
    return keys;
  }

  /** The same, making way for others while the table is read. */
  *steps(id: bigint): Steps<Map<string, Uint8Array>> {
    if (this.#leases.has(id)) return this.of(id);
    const { lk, root } = this.#options.tables;
    const keys = new Map<string, Uint8Array>();
    // Both as they are now: later they go over into each other.
    const unapplied = this.#unapplied(id);
    const forgotten = this.#forgotten;
    const transaction = root.useReadTransaction();
    try {
      let read = 0;
      for (const { key, value } of lk.getRange({ ...rangeOf(id), transaction })) {
        add(keys, key, value);
        if (++read % stepRows > 0) continue;
        yield stepRows;
        // Somebody had to have them at once, and may have changed them.
        if (this.#leases.has(id)) break;
      }
    } finally {
      transaction.done();
    }
    if (this.#leases.has(id)) return this.of(id);
    for (const { key, value } of unapplied) add(keys, key, value);
    // It may be gone.
    if (this.#forgotten === forgotten) this.#leases.set(id, keys);
    return keys;
  }

  /** It is a new one. */
  begin(id: bigint): void {
    this.#leases.set(id, new Map());
  }

  delete(id: bigint): void {
    this.#forgotten += 1;
    this.#leases.delete(id);
  }

  clear(): void {
    this.#forgotten += 1;
    this.#leases.clear();
  }

  #unapplied(id: bigint): TableWrite[] {
    return [...this.#options.unapplied(this.#options.tables.lk)].filter(({ key }) => key.readBigInt64BE(0) === id);
  }
}

function add(keys: Map<string, Uint8Array>, key: Buffer, value: Buffer | undefined): void {
  if (value) keys.set(key.toString('latin1'), new Uint8Array(value));
  else keys.delete(key.toString('latin1'));
}

function rangeOf(id: bigint): { readonly start: Buffer; readonly end: Buffer } {
  const start = Buffer.allocUnsafeSlow(8);
  start.writeBigInt64BE(id, 0);
  return { start, end: Buffer.concat([start, Buffer.alloc(12, 0xff)]) };
}

import { type Column, type IndexedRows, RowIndex, mixed, widened } from '../../kvstore/index.ts';
import { Fingerprint } from './fingerprint.ts';

const firstBytes = 256;

/**
 * What the local store holds of one set of a remote cluster: keys, and of each value a fingerprint. Enough to tell what has to be
 * written and what is gone, without keeping a value: some forty bytes a key beyond the key itself.
 *
 * A row is *doubtful* from the moment a write of it begins until it is confirmed: what the store then holds is unknown, so
 * that any value differs from it.
 */
export class CopyTable implements IndexedRows {
  readonly #index = new RowIndex(this);
  readonly #print = new Fingerprint();
  #bytes = new Uint8Array(firstBytes);
  #used = 0;
  #wasted = 0;
  #start = new Uint32Array(0);
  #length = new Uint32Array(0);
  #hash = new Uint32Array(0);
  /** Fingerprint of the value in two halves; both 0: doubtful. */
  #low = new Uint32Array(0);
  #high = new Uint32Array(0);
  /** Listing that saw the row last; 0: there is no such row. */
  #seen = new Uint32Array(0);
  #listing = 1;
  #rows = 0;
  #free: number[] = [];
  // What is sought.
  #sought: Uint8Array = this.#bytes;
  #soughtHash = 0;

  get size(): number {
    return this.#index.size;
  }

  /** From now on, a row that is not seen again is stale. */
  startListing(): void {
    this.#listing += 1;
  }

  /** The row of a key, or −1. */
  find(key: Uint8Array): number {
    this.#seek(key);
    return this.#index.find(this.#soughtHash);
  }

  /** The row of a key, made when missing, seen by the present listing. A new row is doubtful. */
  see(key: Uint8Array): number {
    this.#seek(key);
    let row = this.#index.find(this.#soughtHash);
    if (row < 0) row = this.#add(key);
    this.#seen[row] = this.#listing;
    return row;
  }

  /** True when the store is known to hold this value. */
  holds(row: number, value: Uint8Array): boolean {
    this.#print.of(value);
    return this.#low[row] === this.#print.low && this.#high[row] === this.#print.high;
  }

  doubt(row: number): void {
    this.#low[row] = 0;
    this.#high[row] = 0;
  }

  /** The store holds this value. */
  confirm(row: number, value: Uint8Array): void {
    this.#print.of(value);
    this.#low[row] = this.#print.low;
    this.#high[row] = this.#print.high;
  }

  /** A copy of the row's key. */
  keyOf(row: number): Uint8Array {
    const start = this.#start[row] as number;
    return this.#bytes.slice(start, start + (this.#length[row] as number));
  }

  delete(row: number): void {
    this.#index.remove(row, this.#hash[row] as number);
    this.#seen[row] = 0;
    this.#wasted += this.#length[row] as number;
    this.#length[row] = 0;
    this.#free.push(row);
    if (this.#wasted > 4096 && this.#wasted * 2 > this.#used) this.#compact();
  }

  /** Rows that the present listing has not seen. */
  unseen(): number[] {
    return this.#where((seen) => seen !== this.#listing);
  }

  rows(): number[] {
    return this.#where(() => true);
  }

  hashOf(row: number): number {
    return this.#hash[row] as number;
  }

  isSought(row: number): boolean {
    const key = this.#sought;
    if (this.#hash[row] !== this.#soughtHash || this.#length[row] !== key.length) return false;
    const start = this.#start[row] as number;
    for (let i = 0; i < key.length; i++) if (this.#bytes[start + i] !== key[i]) return false;
    return true;
  }

  #where(holds: (seen: number) => boolean): number[] {
    const found: number[] = [];
    for (let row = 0; row < this.#rows; row++) {
      const seen = this.#seen[row] as number;
      if (seen !== 0 && holds(seen)) found.push(row);
    }
    return found;
  }

  #seek(key: Uint8Array): void {
    this.#sought = key;
    this.#print.of(key);
    this.#soughtHash = mixed(this.#print.low) >>> 0;
  }

  #add(key: Uint8Array): number {
    const row = this.#free.pop() ?? this.#rows++;
    if (row >= this.#start.length) this.#widen(Math.max(8, Math.ceil((row + 1) * 1.25)));
    if (this.#used + key.length > this.#bytes.length)
      this.#bytes = widened(this.#bytes, Math.ceil((this.#used + key.length) * 1.25) + firstBytes);
    this.#bytes.set(key, this.#used);
    this.#start[row] = this.#used;
    this.#length[row] = key.length;
    this.#hash[row] = this.#soughtHash;
    this.doubt(row);
    this.#used += key.length;
    this.#index.add(row, this.#soughtHash);
    return row;
  }

  #widen(rows: number): void {
    const wide = <C extends Column>(column: C): C => widened(column, rows);
    this.#start = wide(this.#start);
    this.#length = wide(this.#length);
    this.#hash = wide(this.#hash);
    this.#low = wide(this.#low);
    this.#high = wide(this.#high);
    this.#seen = wide(this.#seen);
  }

  #compact(): void {
    const bytes = new Uint8Array(Math.ceil((this.#used - this.#wasted) * 1.25) + firstBytes);
    let used = 0;
    for (let row = 0; row < this.#rows; row++) {
      const length = this.#length[row] as number;
      const start = this.#start[row] as number;
      bytes.set(this.#bytes.subarray(start, start + length), used);
      this.#start[row] = used;
      used += length;
    }
    this.#bytes = bytes;
    this.#used = used;
    this.#wasted = 0;
  }
}

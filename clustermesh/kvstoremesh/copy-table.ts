import { type IndexedRows, RowIndex, mixed, widened } from '../../kvstore/index.ts';
import { Fingerprint } from './fingerprint.ts';

const firstBytes = 256;
const noBytes = new Uint8Array(0);

// What a row consists of: 1,500 tables that grow from nothing are cheaper to widen as one column than as six.
const width = 6;
/** Where its key begins, and how long it is. */
const start = 0;
const length = 1;
const hash = 2;
/** Fingerprint of the value in two halves; both 0: doubtful. */
const low = 3;
const high = 4;
/** Listing that saw the row last; 0: there is no such row. */
const seen = 5;

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
  /** {@link width} numbers a row. */
  #cells = new Uint32Array(0);
  #listing = 1;
  #rows = 0;
  #free: number[] = [];
  // What is sought; only as long as it is, since it may lie in a large buffer.
  #sought: Uint8Array = noBytes;
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
    this.#sought = key;
    this.#print.of(key);
    this.#soughtHash = mixed(this.#print.low) >>> 0;
    const row = this.#index.find(this.#soughtHash);
    this.#sought = noBytes;
    return row;
  }

  /** The row of a key, made when missing, seen by the present listing. A new row is doubtful. */
  see(key: Uint8Array): number {
    let row = this.find(key);
    if (row < 0) row = this.#add(key);
    this.#cells[row * width + seen] = this.#listing;
    return row;
  }

  /** True when the store is known to hold this value. */
  holds(row: number, value: Uint8Array): boolean {
    this.#print.of(value);
    const at = row * width;
    return this.#cells[at + low] === this.#print.low && this.#cells[at + high] === this.#print.high;
  }

  doubt(row: number): void {
    this.#cells[row * width + low] = 0;
    this.#cells[row * width + high] = 0;
  }

  /** The store holds this value. */
  confirm(row: number, value: Uint8Array): void {
    this.#print.of(value);
    this.#cells[row * width + low] = this.#print.low;
    this.#cells[row * width + high] = this.#print.high;
  }

  /** A copy of the row's key. */
  keyOf(row: number): Uint8Array {
    const from = this.#at(row, start);
    return this.#bytes.slice(from, from + this.#at(row, length));
  }

  delete(row: number): void {
    this.#index.remove(row, this.hashOf(row));
    this.#cells[row * width + seen] = 0;
    this.#wasted += this.#at(row, length);
    this.#cells[row * width + length] = 0;
    this.#free.push(row);
    if (this.#wasted > 4096 && this.#wasted * 2 > this.#used) this.#compact();
  }

  /** Rows that the present listing has not seen. */
  unseen(): number[] {
    return this.#where((listing) => listing !== this.#listing);
  }

  rows(): number[] {
    return this.#where(() => true);
  }

  hashOf(row: number): number {
    return this.#at(row, hash);
  }

  isSought(row: number): boolean {
    const key = this.#sought;
    if (this.hashOf(row) !== this.#soughtHash || this.#at(row, length) !== key.length) return false;
    const from = this.#at(row, start);
    for (let i = 0; i < key.length; i++) if (this.#bytes[from + i] !== key[i]) return false;
    return true;
  }

  #at(row: number, member: number): number {
    return this.#cells[row * width + member] as number;
  }

  #where(holds: (listing: number) => boolean): number[] {
    const found: number[] = [];
    for (let row = 0; row < this.#rows; row++) {
      const listing = this.#at(row, seen);
      if (listing !== 0 && holds(listing)) found.push(row);
    }
    return found;
  }

  /** A row for the key that was sought last. */
  #add(key: Uint8Array): number {
    const row = this.#free.pop() ?? this.#rows++;
    if (row * width >= this.#cells.length) this.#cells = widened(this.#cells, width * Math.ceil((row + 4) * 1.4));
    if (this.#used + key.length > this.#bytes.length)
      this.#bytes = widened(this.#bytes, Math.ceil((this.#used + key.length) * 1.4) + firstBytes);
    this.#bytes.set(key, this.#used);
    this.#cells[row * width + start] = this.#used;
    this.#cells[row * width + length] = key.length;
    this.#cells[row * width + hash] = this.#soughtHash;
    this.doubt(row);
    this.#used += key.length;
    this.#index.add(row, this.#soughtHash);
    return row;
  }

  #compact(): void {
    const bytes = new Uint8Array(Math.ceil((this.#used - this.#wasted) * 1.25) + firstBytes);
    let used = 0;
    for (let row = 0; row < this.#rows; row++) {
      const from = this.#at(row, start);
      const bytesOfKey = this.#at(row, length);
      bytes.set(this.#bytes.subarray(from, from + bytesOfKey), used);
      this.#cells[row * width + start] = used;
      used += bytesOfKey;
    }
    this.#bytes = bytes;
    this.#used = used;
    this.#wasted = 0;
  }
}

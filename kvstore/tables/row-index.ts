/** What an index asks of the rows that it finds. */
export interface IndexedRows {
  /** Hash of a row's key, 32 bits, the same as long as the row is in the index. */
  hashOf(row: number): number;
  /** True when the row has the key that is being sought. */
  isSought(row: number): boolean;
}

const firstSlots = 64;
/** A slot is a row number plus one (0 is free) with eight bits of the hash above it, which spare looking at most other rows. */
const rowBits = 24;
const rowMask = 2 ** rowBits - 1;

/**
 * Finds rows by key: open addressing in one typed array, four bytes a slot, at most three quarters full. It holds row
 * numbers only; keys stay in the columns of the table, which says by {@link IndexedRows} whether a row is the one. Rows
 * are numbered below 16,777,215.
 */
export class RowIndex {
  readonly #rows: IndexedRows;
  #slots = new Uint32Array(firstSlots);
  #size = 0;

  constructor(rows: IndexedRows) {
    this.#rows = rows;
  }

  get size(): number {
    return this.#size;
  }

  /** The row whose key is sought, or −1. */
  find(hash: number): number {
    const slots = this.#slots;
    const last = slots.length - 1;
    const tag = hash >>> rowBits;
    for (let at = hash & last; ; at = (at + 1) & last) {
      const held = slots[at] as number;
      if (held === 0) return -1;
      if (held >>> rowBits === tag && this.#rows.isSought((held & rowMask) - 1)) return (held & rowMask) - 1;
    }
  }

  /** Adds a row whose key is not in the index. @throws {RangeError} beyond 16,777,214 rows */
  add(row: number, hash: number): void {
    if (row + 1 > rowMask) throw new RangeError(`An index has room for ${rowMask} rows`);
    if ((this.#size + 1) * 4 > this.#slots.length * 3) this.#rebuild(this.#slots.length * 2);
    this.#size += 1;
    place(this.#slots, slotOf(row, hash), hash);
  }

  /** Puts another row of the same key in the place of one that is there. */
  replace(row: number, by: number, hash: number): void {
    this.#slots[this.#find(row, hash)] = slotOf(by, hash);
  }

  remove(row: number, hash: number): void {
    const slots = this.#slots;
    const last = slots.length - 1;
    let hole = this.#find(row, hash);
    this.#size -= 1;
    // Rows behind the hole move up, so that every search still ends at the first free slot.
    for (let at = (hole + 1) & last; slots[at] !== 0; at = (at + 1) & last) {
      const home = this.#rows.hashOf(((slots[at] as number) & rowMask) - 1) & last;
      if (((at - home) & last) < ((at - hole) & last)) continue;
      slots[hole] = slots[at] as number;
      hole = at;
    }
    slots[hole] = 0;
    if (slots.length > firstSlots && this.#size * 8 < slots.length) this.#rebuild(slots.length / 2);
  }

  #find(row: number, hash: number): number {
    const slots = this.#slots;
    const last = slots.length - 1;
    const wanted = slotOf(row, hash);
    for (let at = hash & last; ; at = (at + 1) & last) {
      const held = slots[at];
      if (held === wanted) return at;
      if (held === 0) throw new RangeError(`Row ${row} is not in the index`);
    }
  }

  #rebuild(size: number): void {
    const slots = new Uint32Array(size);
    for (const held of this.#slots) if (held !== 0) place(slots, held, this.#rows.hashOf((held & rowMask) - 1));
    this.#slots = slots;
  }
}

function slotOf(row: number, hash: number): number {
  return (((hash >>> rowBits) << rowBits) | (row + 1)) >>> 0;
}

function place(slots: Uint32Array, value: number, hash: number): void {
  const last = slots.length - 1;
  let at = hash & last;
  while (slots[at] !== 0) at = (at + 1) & last;
  slots[at] = value;
}

const firstBytes = 4 * 1024;
const lastBytes = 256 * 1024;

/**
 * Room for rows that are read one after the other: many in one piece of memory, since a piece for each costs more than its
 * content. A short read gets a short piece, which whoever keeps a row keeps with it.
 */
export class RowArena {
  #chunk: Buffer = Buffer.alloc(0);
  #used = 0;
  #next = firstBytes;

  /** The rows that follow belong together. */
  begin(): void {
    this.#chunk = Buffer.alloc(0);
    this.#used = 0;
    this.#next = firstBytes;
  }

  copy(bytes: Uint8Array, length: number): Buffer {
    if (this.#used + length > this.#chunk.length) {
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(this.#next, length));
      this.#used = 0;
      this.#next = Math.min(lastBytes, this.#next * 4);
    }
    const start = this.#used;
    this.#chunk.set(bytes.subarray(0, length), start);
    this.#used += length;
    return this.#chunk.subarray(start, this.#used);
  }
}

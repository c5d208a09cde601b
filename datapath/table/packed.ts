/** Entries of one size, one behind the other, as the batched map calls take them; grows as needed. */
export class Packed {
  readonly #size: number;
  #bytes: Buffer;
  #count = 0;

  constructor(size: number, capacity = 16) {
    this.#size = size;
    this.#bytes = Buffer.alloc(size * capacity);
  }

  get count(): number {
    return this.#count;
  }

  /** The filled part; valid until the next {@link next}. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#count * this.#size);
  }

  /** Room for one more entry: the buffer and the offset to write it at. */
  next(): { readonly into: Buffer; readonly offset: number } {
    const offset = this.#count * this.#size;
    if (offset === this.#bytes.length) {
      const grown = Buffer.alloc(this.#bytes.length * 2);
      this.#bytes.copy(grown);
      this.#bytes = grown;
    }
    this.#count++;
    return { into: this.#bytes, offset };
  }

  push(entry: Uint8Array): void {
    const { into, offset } = this.next();
    into.set(entry, offset);
  }

  at(index: number): Buffer {
    return this.#bytes.subarray(index * this.#size, (index + 1) * this.#size);
  }
}

import { mixed, roomFor, widened } from './columns.ts';
import { type IndexedRows, RowIndex } from './row-index.ts';

const firstBytes = 4096;
/** Numbers of a record: half a line of the processor's cache. */
const width = 8;
const field = { start: 0, length: 1, cut: 2, scope: 3, hash: 4, references: 5 } as const;
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Holds equal byte strings once and gives each a number, as long as somebody refers to it. What ten thousand rows have in
 * common costs each of them four bytes. A text may consist of two slices of a buffer: what lies between is then left out,
 * and where it was is part of the text. `scope` keeps texts of different owners apart.
 */
export class BytePool implements IndexedRows {
  readonly #index = new RowIndex(this);
  #bytes = new Uint8Array(firstBytes);
  #used = 0;
  /** Bytes of texts that nobody refers to any more. */
  #wasted = 0;
  /** A record a text, {@link width} numbers each: who looks at one of them looks at the others, too. */
  #records = new Uint32Array(0);
  #rows = 0;
  /** Found or added last. */
  #last = -1;
  #free: number[] = [];
  // What is sought.
  #buffer: Uint8Array = this.#bytes;
  #from = 0;
  #to = 0;
  #from2 = 0;
  #to2 = 0;
  #inScope = 0;
  #soughtHash = 0;

  /** Texts that are referred to. */
  get size(): number {
    return this.#index.size;
  }

  /** The number of `buffer[from, to)` followed by `buffer[from2, to2)`, and one more reference to it. */
  acquire(buffer: Uint8Array, scope: number, from: number, to: number, from2 = to, to2 = to): number {
    this.#buffer = buffer;
    this.#from = from;
    this.#to = to;
    this.#from2 = from2;
    this.#to2 = to2;
    this.#inScope = scope;
    // What comes in order is often what came before.
    let known = this.#last;
    if (known < 0 || !this.#isEqual(known)) {
      const hash = hashBytes(
        hashBytes(Math.imul(scope, 0x9e3779b1) ^ (to - from), buffer, from, to),
        buffer,
        from2,
        to2,
      );
      this.#soughtHash = mixed(hash) >>> 0;
      known = this.#index.find(this.#soughtHash);
      if (known < 0) known = this.#add(this.#soughtHash);
      this.#last = known;
    }
    this.#records[known * width + field.references] = (this.#records[known * width + field.references] as number) + 1;
    return known;
  }

  /** The number that {@link acquire} gave last, and one more reference to it; −1 when nobody refers to it any more. */
  again(): number {
    const known = this.#last;
    if (known < 0) return -1;
    this.#records[known * width + field.references] = (this.#records[known * width + field.references] as number) + 1;
    return known;
  }

  /** One more reference to a text that has one. */
  retain(id: number): void {
    this.#records[id * width + field.references] = (this.#records[id * width + field.references] as number) + 1;
  }

  lengthOfHead(id: number): number {
    return this.#records[id * width + field.cut] as number;
  }

  /**
   * Where in `buffer[from, to)` the second slice of a text begins, when the buffer begins with the first and ends with the
   * second one; −1 otherwise, and for texts that nobody refers to.
   */
  startOfTail(id: number, buffer: Uint8Array, from: number, to: number): number {
    const length = this.#records[id * width + field.length] as number;
    if (length > to - from || this.#records[id * width + field.references] === 0) return -1;
    const cut = this.#records[id * width + field.cut] as number;
    const bytes = this.#bytes;
    let at = this.#records[id * width + field.start] as number;
    const headEnd = from + cut;
    for (let i = from; i < headEnd; i++) if (bytes[at++] !== buffer[i]) return -1;
    const tail = to - (length - cut);
    for (let i = tail; i < to; i++) if (bytes[at++] !== buffer[i]) return -1;
    return tail;
  }

  release(id: number): void {
    const references = (this.#records[id * width + field.references] as number) - 1;
    this.#records[id * width + field.references] = references;
    if (references > 0) return;
    if (id === this.#last) this.#last = -1;
    this.#index.remove(id, this.#records[id * width + field.hash] as number);
    this.#free.push(id);
    this.#wasted += this.#records[id * width + field.length] as number;
    this.#records[id * width + field.length] = 0;
    if (this.#wasted > 65_536 && this.#wasted * 2 > this.#used) this.#compact();
  }

  scopeOf(id: number): number {
    return this.#records[id * width + field.scope] as number;
  }

  /** The first slice of a text. */
  head(id: number): string {
    const start = this.#records[id * width + field.start] as number;
    return decoder.decode(this.#bytes.subarray(start, start + (this.#records[id * width + field.cut] as number)));
  }

  /** The second slice of a text. */
  tail(id: number): string {
    const start = this.#records[id * width + field.start] as number;
    return decoder.decode(
      this.#bytes.subarray(
        start + (this.#records[id * width + field.cut] as number),
        start + (this.#records[id * width + field.length] as number),
      ),
    );
  }

  hashOf(row: number): number {
    return this.#records[row * width + field.hash] as number;
  }

  isSought(row: number): boolean {
    return this.#records[row * width + field.hash] === this.#soughtHash && this.#isEqual(row);
  }

  #isEqual(row: number): boolean {
    const cut = this.#to - this.#from;
    if (this.#records[row * width + field.cut] !== cut || this.#records[row * width + field.scope] !== this.#inScope)
      return false;
    if (this.#records[row * width + field.length] !== cut + this.#to2 - this.#from2) return false;
    const bytes = this.#bytes;
    const buffer = this.#buffer;
    let at = this.#records[row * width + field.start] as number;
    for (let i = this.#from; i < this.#to; i++) if (bytes[at++] !== buffer[i]) return false;
    for (let i = this.#from2; i < this.#to2; i++) if (bytes[at++] !== buffer[i]) return false;
    return true;
  }

  #add(hash: number): number {
    const cut = this.#to - this.#from;
    const length = cut + this.#to2 - this.#from2;
    const id = this.#free.pop() ?? this.#rows++;
    if (id * width >= this.#records.length) this.#records = widened(this.#records, roomFor(id + 1) * width);
    if (this.#used + length > this.#bytes.length)
      this.#bytes = widened(this.#bytes, Math.ceil((this.#used + length) * 1.25) + firstBytes);
    this.#bytes.set(this.#buffer.subarray(this.#from, this.#to), this.#used);
    this.#bytes.set(this.#buffer.subarray(this.#from2, this.#to2), this.#used + cut);
    this.#records[id * width + field.start] = this.#used;
    this.#records[id * width + field.length] = length;
    this.#records[id * width + field.cut] = cut;
    this.#records[id * width + field.scope] = this.#inScope;
    this.#records[id * width + field.hash] = hash;
    this.#records[id * width + field.references] = 0;
    this.#used += length;
    this.#index.add(id, hash);
    return id;
  }

  /** Moves the texts that are referred to together. */
  #compact(): void {
    const bytes = new Uint8Array(Math.ceil((this.#used - this.#wasted) * 1.25) + firstBytes);
    let used = 0;
    for (let id = 0; id < this.#rows; id++) {
      const length = this.#records[id * width + field.length] as number;
      const start = this.#records[id * width + field.start] as number;
      bytes.set(this.#bytes.subarray(start, start + length), used);
      this.#records[id * width + field.start] = used;
      used += length;
    }
    this.#bytes = bytes;
    this.#used = used;
    this.#wasted = 0;
  }
}

/** FNV-1a over four bytes at a time. */
function hashBytes(start: number, buffer: Uint8Array, from: number, to: number): number {
  let hash = start;
  let i = from;
  for (; i + 3 < to; i += 4) {
    const word =
      (buffer[i] as number) |
      ((buffer[i + 1] as number) << 8) |
      ((buffer[i + 2] as number) << 16) |
      ((buffer[i + 3] as number) << 24);
    hash = Math.imul(hash ^ word, 0x01000193);
    hash ^= hash >>> 15;
  }
  for (; i < to; i++) hash = Math.imul(hash ^ (buffer[i] as number), 0x01000193);
  return hash;
}

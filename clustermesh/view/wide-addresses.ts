import { mixed, roomFor, widened } from '../../kvstore/index.ts';
import { addressText } from './address-log.ts';

/** What is not the address of one IPv4 host: IPv6 and blocks. Four words each, then the length, +256 for IPv6. */
export class WideAddresses {
  /** The one that is sought, or to be added. */
  readonly sought = new Uint32Array(5);
  #words = new Uint32Array(0);
  #count = 0;
  readonly #free: number[] = [];

  get words(): Uint32Array {
    return this.#words;
  }

  seek4(address: number, length: number): number {
    this.sought.fill(0);
    this.sought[0] = address;
    this.sought[4] = length;
    return hashAt(this.sought, 0);
  }

  seek6(bytes: Uint8Array, length: number): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let i = 0; i < 4; i++) this.sought[i] = view.getUint32(i * 4);
    this.sought[4] = length + 256;
    return hashAt(this.sought, 0);
  }

  seek(at: number): number {
    this.sought.set(this.#words.subarray(at * 5, at * 5 + 5));
    return hashAt(this.sought, 0);
  }

  isSought(at: number): boolean {
    for (let i = 0; i < 5; i++) if (this.#words[at * 5 + i] !== this.sought[i]) return false;
    return true;
  }

  /** Keeps what is sought. Returns its number. */
  add(): number {
    const at = this.#free.pop() ?? this.#count++;
    if (at * 5 >= this.#words.length) this.#words = widened(this.#words, roomFor(at + 1) * 5);
    this.#words.set(this.sought, at * 5);
    return at;
  }

  free(at: number): void {
    this.#free.push(at);
  }

  hashOf(at: number): number {
    return hashAt(this.#words, at * 5);
  }

  /** Length, +256 for IPv6. */
  lengthOf(at: number): number {
    return this.#words[at * 5 + 4] as number;
  }

  textOf(at: number): string {
    return addressText(this.#words, at * 5, this.lengthOf(at));
  }
}

function hashAt(words: Uint32Array, at: number): number {
  let hash = words[at + 4] as number;
  for (let i = 0; i < 4; i++) hash = mixed(hash ^ (words[at + i] as number));
  return hash >>> 0;
}

/** Entries of one LPM map: 32 bits of prefix length in host order, then the data it counts from (kernel `lpm_trie.c`). */
export class LpmTrie {
  readonly #dataBits: number;
  /** By prefix length, then by the masked data. */
  readonly #levels = new Map<number, Map<string, Entry>>();
  #size = 0;

  constructor(keySize: number) {
    this.#dataBits = (keySize - 4) * 8;
  }

  get size(): number {
    return this.#size;
  }

  /** False for a prefix length beyond the data: the kernel refuses such a key. */
  isValid(key: Uint8Array): boolean {
    return lengthOf(key) <= this.#dataBits;
  }

  /** The longest entry that covers the key, of those that are not longer than the key's own length. */
  match(key: Uint8Array): Uint8Array | undefined {
    const limit = lengthOf(key);
    if (limit > this.#dataBits) return undefined;
    for (const length of [...this.#levels.keys()].toSorted((a, b) => b - a)) {
      const entry = length <= limit ? this.#levels.get(length)?.get(maskedText(key, length)) : undefined;
      if (entry) return entry.value;
    }
    return undefined;
  }

  has(key: Uint8Array): boolean {
    return this.#levels.get(lengthOf(key))?.has(maskedText(key, lengthOf(key))) ?? false;
  }

  /** Adds or replaces the entry of that very prefix. The key is kept as given, bits beyond its length included. */
  set(key: Uint8Array, value: Uint8Array): void {
    const length = lengthOf(key);
    let level = this.#levels.get(length);
    if (!level) this.#levels.set(length, (level = new Map()));
    const before = level.size;
    level.set(maskedText(key, length), { key, value });
    this.#size += level.size - before;
  }

  delete(key: Uint8Array): boolean {
    const length = lengthOf(key);
    const level = this.#levels.get(length);
    if (!level?.delete(maskedText(key, length))) return false;
    this.#size--;
    if (level.size === 0) this.#levels.delete(length);
    return true;
  }

  *entries(): Generator<readonly [key: Uint8Array, value: Uint8Array]> {
    for (const level of this.#levels.values()) for (const { key, value } of level.values()) yield [key, value];
  }
}

interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

function lengthOf(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset, 4).getUint32(0, true);
}

function maskedText(key: Uint8Array, length: number): string {
  const data = Buffer.from(key.subarray(4, 4 + Math.ceil(length / 8)));
  const rest = length % 8;
  if (rest > 0) data[data.length - 1] = (data.at(-1) ?? 0) & (0xff << (8 - rest)) & 0xff;
  return data.toString('latin1');
}

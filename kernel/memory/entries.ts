import type { BpfMapSpec } from '../ports/index.ts';
import { errnos } from '../abi/index.ts';
import { LpmTrie } from './lpm-trie.ts';

/** What a map of some type does with keys and values; results are errnos, 0 when it was done. */
export interface Entries {
  get(key: Uint8Array): Uint8Array | undefined;
  set(key: Uint8Array, value: Uint8Array): number;
  delete(key: Uint8Array): number;
  all(): Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
}

export function entriesFor(spec: BpfMapSpec): Entries {
  switch (spec.type) {
    case 'hash':
    case 'lru-hash':
      return new HashEntries(spec.maxEntries, spec.type === 'lru-hash');
    case 'lpm-trie':
      return new LpmEntries(spec);
    case 'array':
    case 'percpu-array':
      return new ArrayEntries(spec);
  }
}

class HashEntries implements Entries {
  readonly #values = new Map<string, Uint8Array>();
  readonly #maxEntries: number;
  readonly #evicts: boolean;

  constructor(maxEntries: number, evicts: boolean) {
    this.#maxEntries = maxEntries;
    this.#evicts = evicts;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#values.get(textOf(key));
  }

  set(key: Uint8Array, value: Uint8Array): number {
    const text = textOf(key);
    if (!this.#values.has(text) && this.#values.size >= this.#maxEntries) {
      if (!this.#evicts) return errnos.E2BIG;
      const [oldest] = this.#values.keys();
      if (oldest !== undefined) this.#values.delete(oldest);
    }
    // Written again, an entry of an LRU map is the youngest.
    if (this.#evicts) this.#values.delete(text);
    this.#values.set(text, value);
    return 0;
  }

  delete(key: Uint8Array): number {
    return this.#values.delete(textOf(key)) ? 0 : errnos.ENOENT;
  }

  *all(): Generator<readonly [Uint8Array, Uint8Array]> {
    for (const [text, value] of this.#values) yield [Buffer.from(text, 'latin1'), value];
  }
}

class LpmEntries implements Entries {
  readonly #trie: LpmTrie;
  readonly #maxEntries: number;

  constructor(spec: BpfMapSpec) {
    this.#trie = new LpmTrie(spec.keySize);
    this.#maxEntries = spec.maxEntries;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#trie.match(key);
  }

  set(key: Uint8Array, value: Uint8Array): number {
    if (!this.#trie.isValid(key)) return errnos.EINVAL;
    if (!this.#trie.has(key) && this.#trie.size >= this.#maxEntries) return errnos.ENOSPC;
    this.#trie.set(key, value);
    return 0;
  }

  delete(key: Uint8Array): number {
    if (!this.#trie.isValid(key)) return errnos.EINVAL;
    return this.#trie.delete(key) ? 0 : errnos.ENOENT;
  }

  all(): Iterable<readonly [Uint8Array, Uint8Array]> {
    return this.#trie.entries();
  }
}

class ArrayEntries implements Entries {
  readonly #written = new Map<number, Uint8Array>();
  readonly #spec: BpfMapSpec;

  constructor(spec: BpfMapSpec) {
    this.#spec = spec;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const index = indexOf(key);
    return index < this.#spec.maxEntries ? this.#value(index) : undefined;
  }

  set(key: Uint8Array, value: Uint8Array): number {
    const index = indexOf(key);
    if (index >= this.#spec.maxEntries) return errnos.E2BIG;
    this.#written.set(index, value);
    return 0;
  }

  delete(): number {
    return errnos.EINVAL;
  }

  *all(): Generator<readonly [Uint8Array, Uint8Array]> {
    for (let index = 0; index < this.#spec.maxEntries; index++) {
      const key = Buffer.alloc(4);
      key.writeUInt32LE(index);
      yield [key, this.#value(index)];
    }
  }

  #value(index: number): Uint8Array {
    return this.#written.get(index) ?? Buffer.alloc(this.#spec.valueSize);
  }
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}

function indexOf(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset, 4).getUint32(0, true);
}

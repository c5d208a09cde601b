import { ipFromBytes, numberToIpv4 } from '../../values/ip/index.ts';
import { widened } from '../../kvstore/index.ts';

const first = 256;

/**
 * Which prefixes changed when: like a `ChangeLog`, but as numbers in a ring, so that a million changes make no million
 * texts. It holds the newest only: whoever asks for older ones is told so. Recording is O(1), reading O(changes since).
 */
export class AddressLog {
  readonly #capacity: number;
  #versions = new Float64Array(first);
  /** Per change: four words of the address, then its length, +256 for IPv6. */
  #words = new Uint32Array(first * 5);
  #next = 0;
  #held = 0;
  #forgottenUpTo = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  recordHost(version: number, address: number): void {
    const at = this.#slot(version);
    this.#words[at] = address;
    this.#words[at + 4] = 32;
  }

  /** A wide address: five words from `from`. */
  recordWide(version: number, words: Uint32Array, from: number): void {
    const at = this.#slot(version);
    for (let i = 0; i < 5; i++) this.#words[at + i] = words[from + i] as number;
  }

  /** Each changed prefix once, in the order of its first change; `undefined` when `version` is too old to tell. */
  since(version: number): ReadonlySet<string> | undefined {
    if (version < this.#forgottenUpTo) return undefined;
    const changed = new Set<string>();
    for (let back = this.#firstAfter(version); back > 0; back--) {
      const at = this.#at(back) * 5;
      changed.add(prefixText(this.#words, at, this.#words[at + 4] as number));
    }
    return changed;
  }

  #slot(version: number): number {
    if (this.#held < this.#capacity) this.#makeRoom();
    const at = this.#next;
    if (this.#held < this.#capacity) this.#held += 1;
    else this.#forgottenUpTo = this.#versions[at] as number;
    this.#versions[at] = version;
    this.#next = (at + 1) % this.#capacity;
    return at * 5;
  }

  #makeRoom(): void {
    if (this.#held < this.#versions.length) return;
    const length = Math.min(this.#versions.length * 2, Math.max(this.#capacity, first));
    this.#versions = widened(this.#versions, length);
    this.#words = widened(this.#words, length * 5);
  }

  /** Place of the change that is `back` from the end, the last one being 1. */
  #at(back: number): number {
    return (this.#next - back + this.#capacity) % this.#capacity;
  }

  /** How many changes came after `version`. */
  #firstAfter(version: number): number {
    let low = 0;
    let high = this.#held;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#versions[this.#at(middle)] as number) > version) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** `10.1.0.7/32`. `kind` is the length, +256 for IPv6. */
export function prefixText(words: Uint32Array, at: number, kind: number): string {
  return `${addressText(words, at, kind)}/${kind & 255}`;
}

export function addressText(words: Uint32Array, at: number, kind: number): string {
  if (kind < 256) return numberToIpv4(words[at] as number);
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 4; i++) view.setUint32(i * 4, words[at + i] as number);
  return ipFromBytes(bytes);
}

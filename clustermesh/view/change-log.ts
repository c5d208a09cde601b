/**
 * Which keys changed when. It holds the newest changes only: whoever asks for older ones is told so, and looks at
 * everything instead. Recording is O(1), reading O(changes since).
 */
export class ChangeLog<K> {
  readonly #capacity: number;
  #versions: number[] = [];
  #keys: K[] = [];
  /** Changes up to this version are forgotten. */
  #forgottenUpTo = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  record(version: number, key: K): void {
    this.#versions.push(version);
    this.#keys.push(key);
    if (this.#keys.length < 2 * this.#capacity) return;
    const drop = this.#keys.length - this.#capacity;
    this.#forgottenUpTo = this.#versions[drop - 1] ?? this.#forgottenUpTo;
    this.#versions = this.#versions.slice(drop);
    this.#keys = this.#keys.slice(drop);
  }

  /** Each changed key once, in the order of its first change; `undefined` when `version` is too old to tell. */
  since(version: number): ReadonlySet<K> | undefined {
    if (version < this.#forgottenUpTo) return undefined;
    const changed = new Set<K>();
    for (let i = this.#firstAfter(version); i < this.#keys.length; i++) changed.add(this.#keys[i] as K);
    return changed;
  }

  #firstAfter(version: number): number {
    let low = 0;
    let high = this.#versions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#versions[middle] ?? 0) > version) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/**
 * The keys of a prefix, each with the listing (generation) that saw it last: enough to find out after a listing what is
 * gone, without keeping a value.
 */
export class KnownKeys {
  readonly #generationOf = new Map<string, number>();
  #generation = 0;

  get size(): number {
    return this.#generationOf.size;
  }

  /** From now on, a key that is not seen again is stale. */
  startListing(): void {
    this.#generation += 1;
  }

  see(key: string): void {
    this.#generationOf.set(key, this.#generation);
  }

  forget(key: string): boolean {
    return this.#generationOf.delete(key);
  }

  /** Forgets the keys that the current listing did not see, and hands each one out. */
  *sweep(): Generator<string, void, void> {
    for (const [key, generation] of this.#generationOf) {
      if (generation === this.#generation) continue;
      this.#generationOf.delete(key);
      yield key;
    }
  }

  /** Forgets all keys and hands each one out. */
  *drain(): Generator<string, void, void> {
    for (const key of this.#generationOf.keys()) {
      this.#generationOf.delete(key);
      yield key;
    }
  }
}

interface Held {
  readonly revision: number;
  readonly sinceMs: number;
}

/**
 * Rows that are gone in the remote store although nobody deleted them: their lease has ended. They stay in the cache until
 * they come back, are found deleted after all, or have been held for too long.
 */
export class HeldRemovals {
  readonly #held = new Map<number, Held>();

  get size(): number {
    return this.#held.size;
  }

  /** Lowest revision at which one of them went. */
  get firstRevision(): number | undefined {
    let first: number | undefined;
    for (const { revision } of this.#held.values()) if (first === undefined || revision < first) first = revision;
    return first;
  }

  has(row: number): boolean {
    return this.#held.has(row);
  }

  /** A row that is held already keeps its time. */
  add(row: number, revision: number, nowMs: number): void {
    if (!this.#held.has(row)) this.#held.set(row, { revision, sinceMs: nowMs });
  }

  forget(row: number): void {
    this.#held.delete(row);
  }

  clear(): void {
    this.#held.clear();
  }

  rows(): number[] {
    return [...this.#held.keys()];
  }

  /** Rows held since `ms` or earlier. */
  since(ms: number): number[] {
    return [...this.#held].filter(([, held]) => held.sinceMs <= ms).map(([row]) => row);
  }
}

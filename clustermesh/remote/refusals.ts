import type { RemoteKind } from './kinds.ts';

/** A value that was not accepted, and why. The version accepted before, if any, stays in use. */
export interface Refusal {
  readonly kind: RemoteKind;
  /** Below the kind's prefix. */
  readonly key: string;
  readonly reason: string;
}

/** Keys of one cluster whose present value is refused. Bounded in what it names, not in what it counts. */
export class Refusals {
  readonly #limit: number;
  readonly #named = new Map<string, Refusal>();
  #total = 0;

  constructor(limit = 100) {
    this.#limit = limit;
  }

  /** Refused values so far, those that were replaced by good ones since included. */
  get total(): number {
    return this.#total;
  }

  /** How many keys are named. */
  get size(): number {
    return this.#named.size;
  }

  list(): readonly Refusal[] {
    return [...this.#named.values()];
  }

  /** True when this refusal is named anew, and worth a line in the log. */
  note(refusal: Refusal): boolean {
    this.#total++;
    const id = `${refusal.kind}/${refusal.key}`;
    const before = this.#named.get(id);
    if (!before && this.#named.size >= this.#limit) return false;
    this.#named.set(id, refusal);
    return before?.reason !== refusal.reason;
  }

  /** The key has a good value now, or none. */
  clear(kind: RemoteKind, key: string): void {
    this.#named.delete(`${kind}/${key}`);
  }
}

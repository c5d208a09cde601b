import { type RefusalCode, refusalCodes } from '../acceptance/index.ts';
import type { RemoteKind } from './kinds.ts';

/** A value that was not accepted, and why. The version accepted before, if any, stays in use. */
export interface Refusal {
  readonly kind: RemoteKind;
  /** Below the kind's prefix. */
  readonly key: string;
  readonly code: RefusalCode;
  readonly reason: string;
}

/** Refusals that other rules might take back. */
const ofRules: ReadonlySet<RefusalCode> = new Set([
  'own-address',
  'special-address',
  'not-allowed',
  'own-host',
  'special-host',
]);

/** Keys of one cluster whose present value is refused. Bounded in what it names, not in what it counts. */
export class Refusals {
  readonly #limit: number;
  readonly #named = new Map<string, Refusal>();
  readonly #counts = new Map<RefusalCode, number>();
  /** Kinds of which something was refused by a rule, named or not, since they were last listed. */
  readonly #byRules = new Set<RemoteKind>();
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

  /** As many keys are named as there is room for: others may be refused, too. */
  get full(): boolean {
    return this.#named.size >= this.#limit;
  }

  /** The values that {@link total} counts, by reason; those that never came up are left out. */
  reasons(): Readonly<Partial<Record<RefusalCode, number>>> {
    return Object.fromEntries(
      refusalCodes.flatMap((code) => {
        const count = this.#counts.get(code);
        return count === undefined ? [] : [[code, count]];
      }),
    );
  }

  list(): readonly Refusal[] {
    return [...this.#named.values()];
  }

  /** Whether a rule that may change has refused something of a kind since it was last listed. */
  byRules(kind: RemoteKind): boolean {
    return this.#byRules.has(kind);
  }

  /** True when this refusal is named anew, and worth a line in the log. */
  note(refusal: Refusal): boolean {
    this.#total++;
    this.#counts.set(refusal.code, (this.#counts.get(refusal.code) ?? 0) + 1);
    if (ofRules.has(refusal.code)) this.#byRules.add(refusal.kind);
    const id = `${refusal.kind}/${refusal.key}`;
    const before = this.#named.get(id);
    if (!before && this.full) return false;
    this.#named.set(id, refusal);
    return before?.reason !== refusal.reason;
  }

  /** The key has a good value now, or none. */
  clear(kind: RemoteKind, key: string): void {
    this.#named.delete(`${kind}/${key}`);
  }

  /** A kind is listed from its beginning: what is refused of it will be refused again. */
  listing(kind: RemoteKind): void {
    this.#byRules.delete(kind);
    for (const [id, refusal] of this.#named) if (refusal.kind === kind) this.#named.delete(id);
  }

  /** Everything that the cluster told is void. */
  forget(): void {
    this.#named.clear();
    this.#byRules.clear();
  }
}

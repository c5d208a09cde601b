import type { RememberedNumber } from '../../clustermesh/index.ts';
import { type Store, textDigest, toText } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { isAbort } from '../../runtime/tasks/index.ts';

export interface RememberedNumbersDeps {
  readonly store: Pick<Store, 'get'>;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Known {
  readonly id: number;
  readonly digest: number;
  readonly revision: number;
  readonly prefix: string;
  /** The listing that told of it, or after which it was told. */
  readonly listing: number;
}

/** How long a number is remembered that has gone. Other clusters have read anew by then, unless they are cut off for longer. */
export const rememberMs = 3_600_000;

/**
 * What the identities of the cluster mean, whoever has them: as much as other clusters that follow its store know of them.
 * When that store was lost or put back to an older copy, this tells which numbers others may still have in their kernels
 * although nobody here uses them.
 */
export class RememberedNumbers {
  readonly #deps: RememberedNumbersDeps;
  readonly #known = new Map<string, Known>();
  /** At how many keys each number stands: while it moves, at two. */
  readonly #places = new Map<number, number>();
  /** How many listings of each prefix have begun. */
  readonly #listings = new Map<string, number>();
  readonly #gone = new Map<number, { readonly digest: number; readonly untilMs: number }>();

  constructor(deps: RememberedNumbersDeps) {
    this.#deps = deps;
  }

  /** A prefix is listed from its beginning: what was known under it is in doubt until the listing tells it again. */
  listed(prefix: string): void {
    this.#listings.set(prefix, this.#listing(prefix) + 1);
  }

  /** The store says what a number means; `name` is its key without the prefix. */
  learnt(prefix: string, name: string, value: Uint8Array, revision: number): void {
    if (!/^[1-9]\d{0,9}$/.test(name)) return;
    const id = Number(name);
    const key = prefix + name;
    const before = this.#known.get(key);
    const digest = textDigest(toText(value));
    this.#known.set(key, { id, digest, revision, prefix, listing: this.#listing(prefix) });
    if (!this.#places.has(id) || this.#gone.get(id)?.digest === digest) this.#gone.delete(id);
    // No allocator gives a number that has a key another meaning: somebody else did, or an older copy of the store says so.
    else if (before && before.digest !== digest) this.#hasGone(before);
    if (!before) this.#places.set(id, (this.#places.get(id) ?? 0) + 1);
  }

  /** The store does not say so any more. */
  removed(prefix: string, name: string): void {
    const key = prefix + name;
    const known = this.#known.get(key);
    if (!known) return;
    this.#known.delete(key);
    // One that has moved, because its namespace became global or ceased to be, stands at its other place.
    const left = (this.#places.get(known.id) ?? 0) - 1;
    if (left > 0) {
      this.#places.set(known.id, left);
      return;
    }
    this.#places.delete(known.id);
    this.#hasGone(known);
  }

  /**
   * Numbers that the store may have lost: those that have gone lately, or mean something else in it now, those that a listing
   * under way has not told of again and, where the store lacks what was written last of those that we know, all of these. It
   * may have been replaced a moment ago, and we not have noticed yet.
   */
  async toTell(signal: AbortSignal): Promise<readonly RememberedNumber[]> {
    const told = new Map<number, number>();
    const isIntact = await this.#isIntact(signal);
    for (const known of this.#known.values()) if (!isIntact || this.#isInDoubt(known)) told.set(known.id, known.digest);
    const now = this.#deps.clock.monotonicMs();
    for (const [id, { digest, untilMs }] of this.#gone)
      if (untilMs <= now) this.#gone.delete(id);
      else told.set(id, digest);
    return [...told];
  }

  #hasGone({ id, digest }: Known): void {
    this.#gone.set(id, { digest, untilMs: this.#deps.clock.monotonicMs() + rememberMs });
  }

  #listing(prefix: string): number {
    return this.#listings.get(prefix) ?? 0;
  }

  #isInDoubt({ prefix, listing }: Known): boolean {
    return listing !== this.#listing(prefix);
  }

  async #isIntact(signal: AbortSignal): Promise<boolean> {
    let newest: { readonly key: string; readonly revision: number } | undefined;
    for (const [key, known] of this.#known)
      if (!this.#isInDoubt(known) && (!newest || known.revision > newest.revision))
        newest = { key, revision: known.revision };
    if (!newest) return true;
    try {
      return (await this.#deps.store.get(newest.key, { signal }))?.modRevision === newest.revision;
    } catch (error) {
      if (isAbort(error, signal)) throw error;
      // Too much said does no harm.
      this.#deps.log.warn('Cannot look whether the store still has the identities that this node knows', {
        [fields.key]: newest.key,
        [fields.error]: error,
      });
      return false;
    }
  }
}

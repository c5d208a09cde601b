import { type Store, toText } from '../contract/index.ts';
import { referenceKey } from './references.ts';

/** A number that means something else in the store than it means to us. It is used no further under our meaning. */
export interface NumberConflict {
  readonly id: number;
  /** What it means to us. */
  readonly ours: string;
  /** What the store says. */
  readonly theirs: string;
  /** Who holds the other meaning, where that is known. */
  readonly holder?: string;
}

export interface NumberHolderOptions {
  readonly store: Pick<Store, 'transact'>;
  /** Of the numbers, with its trailing slash (kvstore-schema §4.1: master keys). */
  readonly prefix: string;
  /** Of the references, with its trailing slash (§4.4: slave keys). */
  readonly referencePrefix: string;
  /** Who we are among those who refer to a number: a node's address. No slash. */
  readonly holder: string;
  /** The lease under which references live now. They go with their holder, numbers do not. */
  readonly lease: () => bigint;
  /** Called once for each conflict that is found. */
  readonly onConflict?: (conflict: NumberConflict) => void;
}

const attempts = 3;

/**
 * The numbers that one node uses, said in the store: a reference a number, under the node's lease. What is referred to is
 * not collected; and when a store was wiped or restored to what it was long ago, {@link assert} brings back what its
 * numbers mean before anybody is given new ones. A number that means something else there by now is refused, and named.
 *
 * For programs that share a store with Cilium's agents in kvstore mode: our own agents say as much in one key each
 * (`isthmus/v1/held/<node>`) and do not use it.
 */
export class NumberHolder {
  readonly #options: NumberHolderOptions;
  readonly #held = new Map<string, number>();
  readonly #conflicts = new Map<number, NumberConflict>();

  constructor(options: NumberHolderOptions) {
    this.#options = options;
  }

  /** Numbers that are referred to in the store as far as we know. */
  get held(): ReadonlyMap<string, number> {
    return this.#held;
  }

  get conflicts(): readonly NumberConflict[] {
    return [...this.#conflicts.values()];
  }

  /** Refers to a number, and says what it means where the store does not know. Undefined when that agrees with the store. */
  async hold(text: string, id: number, signal: AbortSignal): Promise<NumberConflict | undefined> {
    const { prefix, referencePrefix, holder, lease, store } = this.#options;
    const key = `${prefix}${id}`;
    const reference = {
      type: 'put',
      key: referenceKey(referencePrefix, text, holder),
      value: String(id),
      lease: lease(),
    } as const;
    for (let attempt = 0; attempt < attempts; attempt++) {
      const known = await store.transact(
        {
          when: [{ key, target: 'value', result: 'equal', value: text }],
          then: [reference],
          otherwise: [{ type: 'get', key }],
        },
        { signal },
      );
      if (known.succeeded) return this.#agreed(text, id);
      const [found] = known.results;
      if (found?.type === 'get' && found.entry)
        return this.#refused({ id, ours: text, theirs: toText(found.entry.value) });
      const created = await store.transact(
        {
          when: [{ key, target: 'create', result: 'equal', value: 0 }],
          then: [{ type: 'put', key, value: text }, reference],
        },
        { signal },
      );
      if (created.succeeded) return this.#agreed(text, id);
      // Somebody else said at this moment what it means: look again.
    }
    throw new Error(`Number ${id} comes and goes in the store`);
  }

  /** Refers to the number of a text no longer. */
  async release(text: string, signal: AbortSignal): Promise<void> {
    const id = this.#held.get(text);
    if (id === undefined) return;
    const key = referenceKey(this.#options.referencePrefix, text, this.#options.holder);
    await this.#options.store.transact(
      {
        when: [{ key, target: 'value', result: 'equal', value: String(id) }],
        then: [{ type: 'delete', key }],
      },
      { signal },
    );
    this.#held.delete(text);
  }

  /**
   * Says again, to a store that may have forgotten it, everything that is held: after a lost lease, a wiped store, a
   * restored backup. Returns what the store contradicts; that is held no longer.
   */
  async assert(signal: AbortSignal): Promise<readonly NumberConflict[]> {
    const conflicts: NumberConflict[] = [];
    for (const [text, id] of new Map(this.#held)) {
      const conflict = await this.hold(text, id, signal);
      if (conflict) conflicts.push(conflict);
    }
    return conflicts;
  }

  #agreed(text: string, id: number): undefined {
    this.#held.set(text, id);
    this.#conflicts.delete(id);
  }

  #refused(conflict: NumberConflict): NumberConflict {
    if (this.#held.get(conflict.ours) === conflict.id) this.#held.delete(conflict.ours);
    const before = this.#conflicts.get(conflict.id);
    this.#conflicts.set(conflict.id, conflict);
    if (before?.theirs !== conflict.theirs || before.ours !== conflict.ours) this.#options.onConflict?.(conflict);
    return conflict;
  }
}

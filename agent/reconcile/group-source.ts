import type { TablePlan, TableSource } from './table-source.ts';

export interface GroupSourceOptions<E> {
  readonly entries: (group: string) => readonly E[];
  readonly groups: () => Iterable<string>;
  readonly keyOf: (entry: E) => string;
  /** True while a group must not be touched because it is only known in part. */
  readonly held?: (group: string) => boolean;
}

/**
 * A table in which a mark stands for any number of entries: a Service and its frontends. Two Services may claim one
 * frontend (an external address given twice); the first by name has it, and when it lets go the next one follows.
 */
export class GroupSource<E> implements TableSource<E> {
  readonly #options: GroupSourceOptions<E>;
  readonly #keysOf = new Map<string, ReadonlySet<string>>();
  readonly #claims = new Map<string, Set<string>>();

  constructor(options: GroupSourceOptions<E>) {
    this.#options = options;
  }

  plan(marks: readonly string[]): TablePlan<E> {
    const { held = () => false } = this.#options;
    const later = marks.filter((group) => held(group));
    const touched = new Set<string>();
    for (const group of marks) if (!held(group)) for (const key of this.#claim(group)) touched.add(key);
    const upsert: E[] = [];
    const remove: string[] = [];
    for (const key of touched) {
      const entry = this.#winning(key);
      if (entry === undefined) remove.push(key);
      else upsert.push(entry);
    }
    return { upsert, remove, later };
  }

  *all(): Iterable<E> {
    const { groups, entries, keyOf, held = () => false } = this.#options;
    const present = new Set(groups());
    for (const group of this.#keysOf.keys()) if (!present.has(group)) this.#claim(group);
    for (const group of present) if (!held(group)) this.#claim(group);
    for (const group of present) {
      if (held(group)) continue;
      for (const entry of entries(group)) if (this.#winner(keyOf(entry)) === group) yield entry;
    }
  }

  /** Notes what a group claims now. Returns the keys that it claims or claimed. */
  #claim(group: string): ReadonlySet<string> {
    const before = this.#keysOf.get(group) ?? new Set<string>();
    const after = new Set(this.#options.entries(group).map((entry) => this.#options.keyOf(entry)));
    for (const key of before.difference(after)) {
      const claims = this.#claims.get(key);
      claims?.delete(group);
      if (claims?.size === 0) this.#claims.delete(key);
    }
    for (const key of after) {
      const claims = this.#claims.get(key) ?? new Set();
      this.#claims.set(key, claims.add(group));
    }
    if (after.size > 0) this.#keysOf.set(group, after);
    else this.#keysOf.delete(group);
    return before.union(after);
  }

  #winner(key: string): string | undefined {
    const claims = this.#claims.get(key);
    if (!claims) return undefined;
    let first: string | undefined;
    for (const group of claims) if (first === undefined || group < first) first = group;
    return first;
  }

  #winning(key: string): E | undefined {
    const group = this.#winner(key);
    if (group === undefined) return undefined;
    return this.#options.entries(group).find((entry) => this.#options.keyOf(entry) === key);
  }
}

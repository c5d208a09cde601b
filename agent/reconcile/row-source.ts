import type { TablePlan, TableSource } from './table-source.ts';

/** A table in which each mark is the key of at most one entry: ipcache (prefixes), endpoints (addresses). */
export function rowSource<E>(options: {
  readonly entry: (key: string) => E | undefined;
  /** Every key that may have an entry; a key may come twice. */
  readonly keys: () => Iterable<string>;
}): TableSource<E> {
  return {
    plan: (marks): TablePlan<E> => {
      const upsert: E[] = [];
      const remove: string[] = [];
      for (const key of marks) {
        const entry = options.entry(key);
        if (entry === undefined) remove.push(key);
        else upsert.push(entry);
      }
      return { upsert, remove, later: [] };
    },
    *all() {
      for (const key of options.keys()) {
        const entry = options.entry(key);
        if (entry !== undefined) yield entry;
      }
    },
  };
}

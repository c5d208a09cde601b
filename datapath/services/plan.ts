import { type Rows, type RowSet, type Table, tables } from './rows.ts';

export interface Row {
  readonly key: Buffer;
  readonly value: Buffer;
}

/**
 * One step per table, in an order that never shows a reader a hole: what is pointed at is there before what points to
 * it, and goes after it. Rows that are right already are in no step.
 */
export type ServiceStep =
  | { readonly type: 'write'; readonly table: Table; readonly rows: readonly Row[] }
  | { readonly type: 'remove'; readonly table: Table; readonly keys: readonly Buffer[] };

/** The steps from `before` to `after`. Rows that `keep` says stay are not removed. */
export function serviceSteps(
  before: RowSet,
  after: RowSet,
  keep: (table: Table, key: Buffer) => boolean = () => false,
): readonly ServiceStep[] {
  const writes = tables.map((table): ServiceStep => ({
    type: 'write',
    table,
    rows: changed(before[table], after[table]),
  }));
  const removals = tables.toReversed().map((table): ServiceStep => {
    const stale = [...before[table].keys()].filter((key) => !after[table].has(key)).sort();
    const keys = stale.map((key) => Buffer.from(key, 'latin1')).filter((key) => !keep(table, key));
    return { type: 'remove', table, keys };
  });
  return [...writes, ...removals].filter((step) => (step.type === 'write' ? step.rows : step.keys).length > 0);
}

function changed(before: Rows, after: Rows): readonly Row[] {
  const rows: Row[] = [];
  for (const [key, value] of [...after].sort(([a], [b]) => (a < b ? -1 : 1)))
    if (!before.get(key)?.equals(value)) rows.push({ key: Buffer.from(key, 'latin1'), value });
  return rows;
}

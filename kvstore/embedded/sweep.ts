import { decodeRow, logKey, readLogKey } from './row-codec.ts';
import { metaKeys } from './meta.ts';
import type { LmdbView } from './lmdb-view.ts';
import type { TableWrite, Tables } from './table-types.ts';

/** Rows of the log looked at per commit: a commit in which others wait must stay short. */
const sliceRows = 200;

/**
 * Removes what a compaction made unreachable, in slices that ride on ordinary commits. A row of the log below or at the
 * compaction revision makes its predecessor unreachable; a deletion below it is itself unreachable. The place to go on
 * from is part of each commit, and removing twice does no harm: a crash costs at most one slice.
 */
export async function sweep(
  tables: Tables,
  view: LmdbView,
  compacted: () => number,
  commit: (writes: readonly TableWrite[]) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const writes = nextSlice(tables, view, compacted());
    if (writes.length === 0) return;
    await commit(writes);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

function nextSlice(tables: Tables, view: LmdbView, compacted: number): TableWrite[] {
  const { log, dead, meta } = tables;
  const from = meta.get(metaKeys.sweep);
  if (!from) return [];
  const writes: TableWrite[] = [];
  let looked = 0;
  for (const { key, value } of log.getRange({ start: from })) {
    const id = readLogKey(key);
    if (id.revision > compacted) break;
    if (looked++ === sliceRows) return [...writes, { table: meta, key: metaKeys.sweep, value: key }];
    const row = decodeRow(value);
    if (row.previous.revision > 0) writes.push({ table: log, key: logKey(row.previous) });
    if (!row.deleted || id.revision >= compacted) continue;
    writes.push({ table: log, key });
    const newest = view.newestId(row.kv.key);
    if (newest.revision === id.revision && newest.sub === id.sub)
      writes.push({ table: dead, key: Buffer.from(row.kv.key) });
  }
  // Nothing is left below the compaction revision; the next compaction begins at this one, whose deletions were kept.
  return [...writes, { table: meta, key: metaKeys.sweep }];
}

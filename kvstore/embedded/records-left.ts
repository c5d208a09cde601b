import { damaged } from './table-file.ts';
import { metaKeys, metaRevision } from './meta.ts';
import { type FoundRecord, lacks, recordsBehind } from './wal/index.ts';
import type { Tables } from './table-types.ts';

/**
 * What the last process had answered and the tables lack, oldest first; nothing after a clean stop.
 * @throws {StoreDirectoryError} when the log, or a record in it, is missing that must be there
 */
export function recordsLeft(tables: Pick<Tables, 'directory' | 'meta'>): FoundRecord[] {
  const { directory, meta } = tables;
  const owner = meta.get(metaKeys.wal)?.toString();
  const lost = owner === undefined ? undefined : lacks(directory, owner);
  // Going on without it would lose without a word what had been answered last.
  if (lost !== undefined) throw damaged(directory, `${lost}, which has writes that its tables lack`);
  try {
    const storeId = meta.get(metaKeys.cluster) ?? Buffer.alloc(0);
    return recordsBehind(directory, storeId, metaRevision(tables, metaKeys.applied, 0));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw damaged(directory, error.message, { cause: error });
  }
}

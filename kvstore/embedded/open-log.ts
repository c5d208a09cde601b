import { StoreDirectoryError } from './directory-error.ts';
import { type Tables, metaKeys, metaRevision, revisionBytes } from './tables.ts';
import { WriteAheadLog, decodeWrites, loggedTables, recordsBehind, removeLogs } from './wal/index.ts';

/**
 * Gives the tables what only the log has (a process that was killed had answered those writes), then opens the log for
 * new ones. @throws {StoreDirectoryError} when records are missing that must be there.
 */
export function openLog(tables: Tables): WriteAheadLog {
  const { directory, root, meta, ownership } = tables;
  const logged = loggedTables(tables);
  const storeId = meta.get(metaKeys.cluster) ?? Buffer.alloc(0);
  let applied = metaRevision(tables, metaKeys.applied, 0);
  const records = readRecords(directory, storeId, applied);
  const last = records.at(-1);
  if (last) {
    // All or nothing, with the mark: dying in here leaves everything to the next start.
    root.transactionSync(() => {
      for (const { writes } of records)
        for (const { table, key, value } of decodeWrites(logged, writes)) {
          if (value) table.putSync(key, value);
          else table.removeSync(key);
        }
      meta.putSync(metaKeys.applied, revisionBytes(last.number));
    });
    applied = last.number;
  }
  removeLogs(directory);
  return new WriteAheadLog({
    directory,
    tables: logged,
    storeId,
    applied,
    owner: ownership.version.toString(36),
    owned: () => {
      root.resetReadTxn();
      return ownership.table.getEntry(ownership.key)?.version === ownership.version;
    },
  });
}

function readRecords(directory: string, storeId: Buffer, applied: number): ReturnType<typeof recordsBehind> {
  try {
    return recordsBehind(directory, storeId, applied);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new StoreDirectoryError('damaged', directory, `Store in ${directory} is damaged: ${error.message}`);
  }
}

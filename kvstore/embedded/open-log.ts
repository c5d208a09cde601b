import { encodeTimes } from './lease-times.ts';
import { recordsLeft } from './records-left.ts';
import type { Writer } from './group-commit.ts';
import { metaKeys, metaRevision, revisionBytes } from './meta.ts';
import { makeRoom } from './tables.ts';
import { WriteAheadLog, decodeWrites, loggedTables, removeLogs } from './wal/index.ts';
import type { Tables } from './table-types.ts';

/**
 * Gives the tables what only the log has (a process that was killed had answered those writes), then opens the log for
 * new ones. @throws {StoreDirectoryError} when the log, or records in it, are missing that must be there.
 */
export function openLog(tables: Tables): WriteAheadLog {
  const { directory, root, meta, ownership } = tables;
  const logged = loggedTables(tables);
  const storeId = meta.get(metaKeys.cluster) ?? Buffer.alloc(0);
  const records = recordsLeft(tables);
  const applied = records.at(-1)?.number ?? metaRevision(tables, metaKeys.applied, 0);
  const owner = ownership.version.toString(36);
  const log = new WriteAheadLog({
    directory,
    tables: logged,
    storeId,
    applied,
    owner,
    owned: () => {
      root.resetReadTxn();
      return ownership.table.getEntry(ownership.key)?.version === ownership.version;
    },
  });
  const writes = records.flatMap((record) => [...decodeWrites(logged, record.writes)]);
  makeRoom(tables, writes.length + 2, records.reduce((sum, record) => sum + record.writes.length, 0) * 2);
  // All or nothing, with the marks: dying in here leaves everything to the next start.
  root.transactionSync(() => {
    for (const { table, key, value } of writes) {
      if (value) table.putSync(key, value);
      else table.removeSync(key);
    }
    meta.putSync(metaKeys.applied, revisionBytes(applied));
    meta.putSync(metaKeys.wal, Buffer.from(owner));
  });
  removeLogs(directory, owner);
  return log;
}

/**
 * The last commit of an orderly stop. After it the store is whole without its log, and the leases go on from the times that
 * they have left. False when it cannot be made: then the log stays, and does no harm.
 */
export async function disownLog({ meta }: Tables, write: Writer, left: ReadonlyMap<bigint, number>): Promise<boolean> {
  const times = left.size === 0 ? [] : [{ table: meta, key: metaKeys.times, value: encodeTimes(left) }];
  return await write([{ table: meta, key: metaKeys.wal }, ...times]).then(
    () => true,
    () => false,
  );
}

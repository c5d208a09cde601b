import { metaKeys, metaRevision, revisionBytes } from './meta.ts';
import { closeTables, openTables } from './tables.ts';

/**
 * Makes the store of a directory go on from `revision`, as if it had written that often: for a store that takes the place
 * of another one, whose revisions its readers remember. Makes the store where there is none.
 * @throws {RangeError} when the store is beyond it already
 */
export async function raiseRevision(directory: string, revision: number): Promise<void> {
  const tables = await openTables(directory);
  try {
    const current = metaRevision(tables, metaKeys.revision, 1);
    if (!Number.isSafeInteger(revision) || revision < current)
      throw new RangeError(`Cannot set the revision of ${directory} to ${revision}: it is at ${current}`);
    tables.root.transactionSync(() => tables.meta.putSync(metaKeys.revision, revisionBytes(revision)));
  } finally {
    await closeTables(tables);
  }
}

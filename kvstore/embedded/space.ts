import { statfsSync } from 'node:fs';
import type { Table, Tables } from './table-types.ts';

/** A file system with less than this cannot take a group of writes for certain. */
export const noRoomBytes = 16 * 1024 ** 2;

/** Pages in use are those of the tables: LMDB keeps free ones in the file for later. */
export function environmentSize(tables: Tables): { readonly total: number; readonly inUse: number } {
  const { pageSize, lastPageNumber, root } = statsOf(tables.root);
  const { cur, log, dead, lk, lease, meta } = tables;
  const trees = [root, ...[cur, log, dead, lk, lease, meta].map(statsOf)];
  const pages = trees.reduce(
    (sum, tree) => sum + tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages,
    0,
  );
  return { total: (lastPageNumber + 1) * pageSize, inUse: pages * pageSize };
}

/** What `getStats` of lmdb-js gives; its own type says nothing. */
interface TreeStats {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
  readonly entryCount: number;
}

function statsOf(table: Table): TreeStats & { readonly lastPageNumber: number; readonly root: TreeStats } {
  return table.getStats() as TreeStats & { readonly lastPageNumber: number; readonly root: TreeStats };
}

export function keysIn(table: Table): number {
  return statsOf(table).entryCount;
}

/** LMDB reports a write that was cut short as EIO, whatever the reason: so look whether there is room. */
export function isOutOfSpace(error: unknown, directory: string): boolean {
  if (!(error instanceof Error)) return false;
  if (/MDB_MAP_FULL|ENOSPC|No space left/i.test(error.message)) return true;
  if (!/input\/output error/i.test(error.message)) return false;
  return roomIn(directory) < noRoomBytes;
}

/** Bytes that are free on the file system; infinitely many where it does not tell. */
export function roomIn(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    return Infinity;
  }
}

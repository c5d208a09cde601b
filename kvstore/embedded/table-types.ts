import type { Database, RootDatabase } from 'lmdb';
import type { RowArena } from './row-arena.ts';
import type { TableFile } from './table-file.ts';

export type Table = Database<Buffer, Buffer>;

export interface Walk {
  readonly table: Table;
  /** Where the values lie that it gives. */
  readonly arena: RowArena;
}

/** The LMDB environment and its tables; the README says what each one holds. */
export interface Tables {
  readonly directory: string;
  readonly root: RootDatabase<Buffer, Buffer>;
  readonly cur: Table;
  /** The same table, for those who read its values in order and need no keys. */
  readonly walk: Walk;
  readonly log: Table;
  readonly dead: Table;
  readonly lk: Table;
  readonly lease: Table;
  readonly meta: Table;
  readonly ownership: Ownership;
  readonly file: TableFile;
  readonly lock: AsyncDisposable;
  /** All pages were looked at before anybody was answered. */
  readonly checked: boolean;
  /** What time the leases had left when the last process stopped in order. */
  readonly leaseTimes: ReadonlyMap<bigint, number>;
}

/** The record of who has the store. Every commit compares its version: a store that somebody else took is not written to. */
export interface Ownership {
  readonly table: Table;
  readonly key: Buffer;
  readonly version: number;
}

/** One change of a table; without value the key is removed. */
export interface TableWrite {
  readonly table: Table;
  readonly key: Buffer;
  readonly value?: Buffer;
}

export { BytePool } from './byte-pool.ts';
export { type Column, mixed, roomFor, widened } from './columns.ts';
export { type IndexedRows, RowIndex } from './row-index.ts';

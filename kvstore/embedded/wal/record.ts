import { crc32 } from 'node:zlib';
import { readRevision, writeRevision } from '../row-codec.ts';
import type { Table, TableWrite, Tables } from '../table-types.ts';

/** Every table that a record may name, by its place here: a place is never given to another one. */
export type LoggedTables = readonly Table[];

export function loggedTables({
  cur,
  log,
  dead,
  lk,
  lease,
  meta,
}: Pick<Tables, 'cur' | 'log' | 'dead' | 'lk' | 'lease' | 'meta'>): LoggedTables {
  return [cur, log, dead, lk, lease, meta];
}

/** Where things lie: checksum of all behind it 4, length of the writes 4, number 8; the writes follow. */
const at = { crc: 0, length: 4, number: 8, writes: 16 } as const;
/** Of the number in a record, whose first byte is always zero. */
export const numberOffset = at.number;
const keyBytes = 3;
const kind = { remove: 0, put: 1, putSame: 2 } as const;

/** Writes of one group as the log holds them. A value that two writes in a row share (`log` and `cur`) stands there once. */
export function encodeRecord(
  tables: LoggedTables,
  seed: number,
  number: number,
  writes: readonly TableWrite[],
): Buffer {
  let size = at.writes;
  let before: Buffer | undefined;
  for (const { key, value } of writes) {
    size += 1 + keyBytes + key.length + (value && value !== before ? 4 + value.length : 0);
    before = value ?? before;
  }
  const record = Buffer.allocUnsafe(size);
  let position: number = at.writes;
  before = undefined;
  for (const { table, key, value } of writes) {
    const how = value === undefined ? kind.remove : value === before ? kind.putSame : kind.put;
    record[position++] = how;
    record[position++] = tables.indexOf(table);
    position = record.writeUInt16BE(key.length, position);
    position += key.copy(record, position);
    if (value && how === kind.put) {
      position = record.writeUInt32BE(value.length, position);
      position += value.copy(record, position);
    }
    before = value ?? before;
  }
  record.writeUInt32BE(size - at.writes, at.length);
  writeRevision(record, number, at.number);
  record.writeUInt32BE(crc32(record.subarray(at.length), seed), at.crc);
  return record;
}

export interface FoundRecord {
  readonly number: number;
  readonly writes: Buffer;
  readonly end: number;
}

/** The record that begins at `start`; `undefined` when there is none, or one that was not written to its end. */
export function recordAt(file: Buffer, start: number, seed: number): FoundRecord | undefined {
  if (start + at.writes > file.length) return undefined;
  const end = start + at.writes + file.readUInt32BE(start + at.length);
  if (end > file.length) return undefined;
  if (crc32(file.subarray(start + at.length, end), seed) !== file.readUInt32BE(start + at.crc)) return undefined;
  return { number: readRevision(file, start + at.number), writes: file.subarray(start + at.writes, end), end };
}

/** The number of a record that would begin here; 0 at the end. */
export function numberAt(file: Buffer, start: number): number {
  return start + at.writes > file.length ? 0 : readRevision(file, start + at.number);
}

/** Bytes that no record begins with. */
export const noRecord = Buffer.alloc(at.writes);

export function* decodeWrites(tables: LoggedTables, bytes: Buffer): Generator<TableWrite, void, void> {
  let position = 0;
  let before: Buffer | undefined;
  while (position < bytes.length) {
    const how = bytes[position++];
    const table = tables[bytes[position++] ?? tables.length];
    if (!table) throw new RangeError('A record names a table that is not there');
    const keyEnd = position + 2 + bytes.readUInt16BE(position);
    const key = bytes.subarray(position + 2, keyEnd);
    position = keyEnd;
    if (how === kind.remove) {
      yield { table, key };
      continue;
    }
    if (how === kind.put) {
      const end = position + 4 + bytes.readUInt32BE(position);
      before = bytes.subarray(position + 4, end);
      position = end;
    }
    if (!before) throw new RangeError('A record repeats a value that it does not have');
    yield { table, key, value: before };
  }
}

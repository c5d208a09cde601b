import type { KeyValue } from '../contract/index.ts';
import type { Row } from '../engine/index.ts';

/** Where a row lies in the log: revision, and place inside the revision. */
export interface RowId {
  readonly revision: number;
  readonly sub: number;
}

/** A row as the tables hold it: `previous` is the row of the same key before it, live or deleted; revision 0 is none. */
export interface StoredRow extends Row {
  readonly previous: RowId;
  readonly encoded: Buffer;
}

const deletedFlag = 1;
const headerBytes = 55;
const nothing = new Uint8Array(0);

/**
 * Layout, big-endian: flags 1, sub 4, createSub 4, mod 8, create 8, version 8, lease 8, previous revision 8, previous
 * sub 4, key length 2, key, value. The same bytes stand in `cur` and in `log`.
 */
export function encodeRow(row: Row, previous: RowId): StoredRow {
  const { kv } = row;
  const encoded = Buffer.allocUnsafeSlow(headerBytes + kv.key.length + kv.value.length);
  encoded[0] = row.deleted ? deletedFlag : 0;
  encoded.writeUInt32BE(row.sub, 1);
  encoded.writeUInt32BE(row.createSub, 5);
  writeRevision(encoded, kv.modRevision, 9);
  writeRevision(encoded, kv.createRevision, 17);
  writeRevision(encoded, kv.version, 25);
  encoded.writeBigInt64BE(kv.lease, 33);
  writeRevision(encoded, previous.revision, 41);
  encoded.writeUInt32BE(previous.sub, 49);
  encoded.writeUInt16BE(kv.key.length, 53);
  encoded.set(kv.key, headerBytes);
  encoded.set(kv.value, headerBytes + kv.key.length);
  return decodeRow(encoded);
}

/** Key and value are views into `encoded`. */
export function decodeRow(encoded: Buffer): StoredRow {
  const keyEnd = headerBytes + encoded.readUInt16BE(53);
  const deleted = encoded[0] === deletedFlag;
  const kv: KeyValue = {
    key: bytesOf(encoded, headerBytes, keyEnd),
    value: deleted ? nothing : bytesOf(encoded, keyEnd, encoded.length),
    createRevision: readRevision(encoded, 17),
    modRevision: readRevision(encoded, 9),
    version: readRevision(encoded, 25),
    lease: encoded.readBigInt64BE(33),
  };
  return {
    kv,
    deleted,
    sub: encoded.readUInt32BE(1),
    createSub: encoded.readUInt32BE(5),
    previous: { revision: readRevision(encoded, 41), sub: encoded.readUInt32BE(49) },
    encoded,
  };
}

/** The revision of an encoded row, without decoding it. */
export function modRevisionOf(encoded: Buffer): number {
  return readRevision(encoded, 9);
}

export function idOf(row: Row): RowId {
  return { revision: row.kv.modRevision, sub: row.sub };
}

/** Key in the log: rows sort by revision, then by place. */
export function logKey(id: RowId): Buffer {
  const key = Buffer.allocUnsafeSlow(12);
  writeRevision(key, id.revision, 0);
  key.writeUInt32BE(id.sub, 8);
  return key;
}

export function readLogKey(key: Buffer): RowId {
  return { revision: readRevision(key, 0), sub: key.readUInt32BE(8) };
}

/** Key in the lease table: one life of a key. Keys of any length fit, because the key itself is the value. */
export function leaseKey(lease: bigint, row: Row): Buffer {
  const key = Buffer.allocUnsafeSlow(20);
  key.writeBigInt64BE(lease, 0);
  writeRevision(key, row.kv.createRevision, 8);
  key.writeUInt32BE(row.createSub, 16);
  return key;
}

export function writeRevision(target: Buffer, revision: number, offset: number): void {
  target.writeUInt32BE(Math.floor(revision / 0x1_0000_0000), offset);
  target.writeUInt32BE(revision >>> 0, offset + 4);
}

export function readRevision(source: Buffer, offset: number): number {
  return source.readUInt32BE(offset) * 0x1_0000_0000 + source.readUInt32BE(offset + 4);
}

/** A plain view: what leaves the store is `Uint8Array`, not `Buffer`. */
function bytesOf(encoded: Buffer, start: number, end: number): Uint8Array {
  return new Uint8Array(encoded.buffer, encoded.byteOffset + start, end - start);
}

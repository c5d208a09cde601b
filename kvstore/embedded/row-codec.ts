import type { EncodedKeyValue } from '../contract/index.ts';
import type { Row } from '../engine/index.ts';

/** Where a row lies in the log: revision, and place inside the revision. */
export interface RowId {
  readonly revision: number;
  readonly sub: number;
}

/** A row as the tables hold it: `previous` is the row of the same key before it, live or deleted; revision 0 is none. */
export interface StoredRow extends Row {
  readonly kv: EncodedKeyValue;
  readonly previous: RowId;
  readonly encoded: Buffer;
}

const deletedFlag = 1;
// Where things lie in a row; the message of etcd's `mvccpb.KeyValue` follows the header.
const at = {
  sub: 1,
  createSub: 5,
  mod: 9,
  create: 17,
  version: 25,
  lease: 33,
  previous: 41,
  previousSub: 49,
  keyStart: 53,
  keyLength: 55,
  valueStart: 57,
  valueLength: 61,
  message: 65,
} as const;
const noBytes = new Uint8Array(0);

/**
 * Layout, big-endian: flags 1, sub 4, createSub 4, mod 8, create 8, version 8, lease 8, previous revision 8, previous sub
 * 4, start and length of the key 2 + 2, of the value 4 + 4; then the key-value as etcd puts it on the wire, key and value
 * inside. The same bytes stand in `cur` and in `log`, and a server copies the message instead of making it.
 */
export function encodeRow(row: Row, previous: RowId): StoredRow {
  const { kv } = row;
  // Tags and lengths take 11 bytes at most, three counters and a lease 10 and a tag each.
  const encoded = Buffer.allocUnsafeSlow(at.message + kv.key.length + kv.value.length + 11 + 4 * 11);
  encoded[0] = row.deleted ? deletedFlag : 0;
  encoded.writeUInt32BE(row.sub, at.sub);
  encoded.writeUInt32BE(row.createSub, at.createSub);
  writeRevision(encoded, kv.modRevision, at.mod);
  writeRevision(encoded, kv.createRevision, at.create);
  writeRevision(encoded, kv.version, at.version);
  encoded.writeBigInt64BE(kv.lease, at.lease);
  writeRevision(encoded, previous.revision, at.previous);
  encoded.writeUInt32BE(previous.sub, at.previousSub);
  const message = new KeyValueMessage(encoded, at.message);
  const keyStart = message.bytes(0x0a, kv.key);
  message.number(0x10, kv.createRevision);
  message.number(0x18, kv.modRevision);
  message.number(0x20, kv.version);
  const valueStart = message.bytes(0x2a, kv.value);
  message.lease(0x30, kv.lease);
  encoded.writeUInt16BE(keyStart, at.keyStart);
  encoded.writeUInt16BE(kv.key.length, at.keyLength);
  encoded.writeUInt32BE(valueStart, at.valueStart);
  encoded.writeUInt32BE(kv.value.length, at.valueLength);
  return decodeRow(encoded.subarray(0, message.end));
}

export function decodeRow(encoded: Buffer): StoredRow {
  return new DecodedRow(encoded);
}

/** Reads only what is asked for: most rows go from disk to the wire without anybody looking inside. */
class DecodedRow implements StoredRow {
  readonly encoded: Buffer;
  readonly kv: StoredKeyValue;

  constructor(encoded: Buffer) {
    this.encoded = encoded;
    this.kv = new StoredKeyValue(encoded);
  }

  get deleted(): boolean {
    return this.encoded[0] === deletedFlag;
  }

  get sub(): number {
    return this.encoded.readUInt32BE(at.sub);
  }

  get createSub(): number {
    return this.encoded.readUInt32BE(at.createSub);
  }

  get previous(): RowId {
    const { encoded } = this;
    return { revision: readRevision(encoded, at.previous), sub: encoded.readUInt32BE(at.previousSub) };
  }
}

class StoredKeyValue implements EncodedKeyValue {
  readonly #encoded: Buffer;

  constructor(encoded: Buffer) {
    this.#encoded = encoded;
  }

  get key(): Uint8Array {
    return viewOf(this.#encoded, this.#encoded.readUInt16BE(at.keyStart), this.#encoded.readUInt16BE(at.keyLength));
  }

  get value(): Uint8Array {
    const length = this.#encoded.readUInt32BE(at.valueLength);
    return length === 0 ? noBytes : viewOf(this.#encoded, this.#encoded.readUInt32BE(at.valueStart), length);
  }

  get createRevision(): number {
    return readRevision(this.#encoded, at.create);
  }

  get modRevision(): number {
    return readRevision(this.#encoded, at.mod);
  }

  get version(): number {
    return readRevision(this.#encoded, at.version);
  }

  get lease(): bigint {
    return this.#encoded.readBigInt64BE(at.lease);
  }

  copyMessage(target: Buffer, position: number): number {
    return position + this.#encoded.copy(target, position, at.message);
  }

  get messageLength(): number {
    return this.#encoded.length - at.message;
  }
}

/** Writes `mvccpb.KeyValue`; a field that is zero or empty is left out, as protobuf has it. */
class KeyValueMessage {
  readonly #target: Buffer;
  end: number;

  constructor(target: Buffer, start: number) {
    this.#target = target;
    this.end = start;
  }

  /** Gives where the bytes begin. */
  bytes(tag: number, value: Uint8Array): number {
    if (value.length === 0) return this.end;
    this.#target[this.end++] = tag;
    this.#varint(value.length);
    const start = this.end;
    this.#target.set(value, start);
    this.end += value.length;
    return start;
  }

  number(tag: number, value: number): void {
    if (value === 0) return;
    this.#target[this.end++] = tag;
    this.#varint(value);
  }

  lease(tag: number, value: bigint): void {
    if (value === 0n) return;
    this.#target[this.end++] = tag;
    let rest = BigInt.asUintN(64, value);
    for (; rest > 0x7fn; rest >>= 7n) this.#target[this.end++] = Number(rest & 0x7fn) | 0x80;
    this.#target[this.end++] = Number(rest);
  }

  #varint(value: number): void {
    let rest = value;
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) this.#target[this.end++] = (rest % 128) | 0x80;
    this.#target[this.end++] = rest;
  }
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
function viewOf(encoded: Buffer, start: number, length: number): Uint8Array {
  return new Uint8Array(encoded.buffer, encoded.byteOffset + start, length);
}

/** The key where it lies, as LMDB wants it. */
export function keyBuffer(row: StoredRow): Buffer {
  const { key } = row.kv;
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength);
}

/** Key of a lease in its table. */
export function idBuffer(id: bigint): Buffer {
  const key = Buffer.allocUnsafeSlow(8);
  key.writeBigInt64BE(id, 0);
  return key;
}

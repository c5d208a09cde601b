import { crc32 } from 'node:zlib';
import type { KeyValue } from '../../contract/index.ts';
import { versionOf } from '../entry.ts';
import { leaseOfSession } from '../keys.ts';

/** One key of a listing, in place: nothing but its name and index is decoded until asked for. Valid during the call only. */
export class RawEntry {
  /** May be a part of a much longer text: what is kept is to be taken from {@link toKeyValue}. */
  key = '';
  createIndex = 0;
  modifyIndex = 0;
  session = '';
  #source: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;

  /** Begins a new entry. */
  reset(): void {
    this.key = '';
    this.createIndex = 0;
    this.modifyIndex = 0;
    this.session = '';
    this.#start = 0;
    this.#end = 0;
  }

  setValue(source: Buffer, start: number, end: number): void {
    this.#source = source;
    this.#start = start;
    this.#end = end;
  }

  /** Tells values (and owners) apart where equal indexes do not mean equal entries. */
  checksum(): number {
    return checksumOf(this.#source.subarray(this.#start, this.#end), this.session);
  }

  toKeyValue(): KeyValue {
    return {
      key: new TextEncoder().encode(this.key),
      value: new Uint8Array(Buffer.from(this.#source.toString('latin1', this.#start, this.#end), 'base64')),
      createRevision: this.createIndex,
      modRevision: this.modifyIndex,
      version: versionOf(this.createIndex, this.modifyIndex),
      lease: leaseOfSession(this.session),
    };
  }
}

/** As {@link RawEntry.checksum}, of a value in base64 and the id of its session. */
export function checksumOf(base64: string | Uint8Array, session: string): number {
  const value = crc32(base64);
  return session === '' ? value : crc32(session, value);
}

import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readdirSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { Pace } from './pace.ts';
import {
  type FoundRecord,
  type LoggedTables,
  encodeRecord,
  noRecord,
  numberAt,
  numberOffset,
  recordAt,
} from './record.ts';
import type { TableWrite } from '../table-types.ts';

/** What keeps writes safe until the tables have them. */
export interface WriteLog {
  /** Settles when the writes are on disk; gives the record's number. One at a time. */
  append(writes: readonly TableWrite[]): Promise<number>;
  /** The tables have, on disk, all records up to `number`: their place may be used again. */
  release(number: number): void;
  /** Ends it; `keep` leaves its records for the next start. */
  close(keep: boolean): void;
}

interface Segment {
  readonly path: string;
  readonly file: number;
  offset: number;
  last: number;
}

/** A segment is left for the other one when it is this long and the other one is free. */
const segmentBytes = 4 * 1024 * 1024;
const namePrefix = 'writes-';
/** More than a segment can have. */
const maxRecords = 10_000_000;

export interface WriteAheadLogOptions {
  readonly directory: string;
  readonly tables: LoggedTables;
  /** Bytes of this store alone: a log that another store wrote has no valid record. */
  readonly storeId: Buffer;
  /** Number of the last record that the tables have. */
  readonly applied: number;
  /** Part of the files' names: no two processes ever write to the same ones. */
  readonly owner: string;
  /** Whether the store is still this process's. */
  readonly owned: () => boolean;
}

/**
 * Two files that are written in turn, over and over: records with ascending numbers and checksums. One record costs one
 * write and one `fdatasync`. What stands behind the newest record is from an earlier turn, or torn, and has no valid
 * checksum or a lower number: there the log ends.
 */
export class WriteAheadLog implements WriteLog {
  readonly #tables: LoggedTables;
  readonly #seed: number;
  readonly #segments: readonly [Segment, Segment];
  readonly #owned: () => boolean;
  readonly #pace = new Pace();
  #active: 0 | 1 = 0;
  #number: number;
  #released: number;
  #broken: unknown;

  constructor(options: WriteAheadLogOptions) {
    this.#tables = options.tables;
    this.#seed = seedOf(options.storeId, options.owner);
    this.#number = this.#released = options.applied;
    this.#owned = options.owned;
    const open = (place: 0 | 1): Segment => {
      const path = join(options.directory, `${namePrefix}${options.owner}.${place}`);
      const file = openSync(path, 'wx', 0o600);
      // A hole, which takes no room: by its length a whole file is told from one that was copied in part.
      ftruncateSync(file, segmentBytes);
      fsyncSync(file);
      return { path, file, offset: 0, last: 0 };
    };
    this.#segments = [open(0), open(1)];
    const parent = openSync(options.directory, 'r');
    fsyncSync(parent);
    closeSync(parent);
  }

  async append(writes: readonly TableWrite[]): Promise<number> {
    if (this.#broken !== undefined) throw this.#broken;
    const record = encodeRecord(this.#tables, this.#seed, this.#number + 1, writes);
    const segment = this.#segmentFor(record.length);
    try {
      writeWhole(segment.file, record, segment.offset);
      if (this.#pace.alone()) fdatasyncSync(segment.file);
      else await synced(segment.file);
      this.#pace.ended();
      // Whoever takes the store over enters itself first and reads this log then: so it has seen the record, or we see that.
      if (!this.#owned()) throw (this.#broken = new Error('The store was taken over by another process'));
    } catch (error) {
      this.#takeBack(segment, error);
      throw error;
    }
    segment.offset += record.length;
    segment.last = this.#number += 1;
    return this.#number;
  }

  release(number: number): void {
    this.#released = number;
  }

  close(keep: boolean): void {
    this.#broken ??= new Error('The log of writes is closed');
    for (const { file, path } of this.#segments) {
      closeSync(file);
      if (!keep) unlinkSync(path);
    }
  }

  #segmentFor(length: number): Segment {
    const active = this.#segments[this.#active];
    const other = this.#segments[this.#active === 0 ? 1 : 0];
    if (active.offset + length <= segmentBytes || other.last > this.#released) return active;
    this.#active = this.#active === 0 ? 1 : 0;
    other.offset = 0;
    return other;
  }

  /** The writes were refused to their client: no restart may bring them back. If that cannot be had, nothing is written any more. */
  #takeBack(segment: Segment, cause: unknown): void {
    if (this.#broken !== undefined) return;
    try {
      writeWhole(segment.file, noRecord, segment.offset);
      fdatasyncSync(segment.file);
    } catch {
      this.#broken = cause;
    }
  }
}

/** Records behind `applied`, oldest first. @throws {RangeError} when one in between is missing or damaged. */
export function recordsBehind(directory: string, storeId: Buffer, applied: number): FoundRecord[] {
  const found = logsIn(directory).flatMap((path) =>
    recordsOf(readFileSync(path), seedOf(storeId, path.slice(path.lastIndexOf(namePrefix) + namePrefix.length, -2))),
  );
  const wanted = found.filter(({ number }) => number > applied).toSorted((a, b) => a.number - b.number);
  for (const [i, { number }] of wanted.entries())
    if (number !== applied + 1 + i) throw new RangeError(`Record ${applied + 1 + i} of the log of writes is missing`);
  return wanted;
}

/**
 * What checksums begin with. The owner is random and on no wire: a client cannot make a value that would pass for a record
 * where an old value is left behind the end.
 */
function seedOf(storeId: Buffer, owner: string): number {
  return crc32(owner, crc32(storeId));
}

/** What of the log of `owner` is not there, or not whole; `undefined` when nothing. */
export function lacks(directory: string, owner: string): string | undefined {
  for (const place of [0, 1]) {
    const name = `${namePrefix}${owner}.${place}`;
    const size = statSync(join(directory, name), { throwIfNoEntry: false })?.size;
    if (size === undefined) return `its file ${name} is missing`;
    if (size < segmentBytes) return `its file ${name} was cut short`;
  }
  return undefined;
}

/** Whether the last process that had the store did not end in an orderly way. */
export function hasLog(directory: string): boolean {
  return logsIn(directory).length > 0;
}

/** Forgets the logs of earlier processes; the tables must have all that is in them. */
export function removeLogs(directory: string, except: string): void {
  const kept = join(directory, `${namePrefix}${except}.`);
  for (const path of logsIn(directory)) if (!path.startsWith(kept)) unlinkSync(path);
}

function logsIn(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => name.startsWith(namePrefix));
  return names.toSorted().map((name) => join(directory, name));
}

function recordsOf(file: Buffer, seed: number): FoundRecord[] {
  const records: FoundRecord[] = [];
  let position = 0;
  for (;;) {
    const record = recordAt(file, position, seed);
    const before = records.at(-1);
    // A lower number is left from an earlier turn of the file.
    if (!record || (before && record.number !== before.number + 1)) {
      if (before) assertEnd(file, position, before.number, seed);
      return records;
    }
    records.push(record);
    position = record.end;
  }
}

/** Only the last record can have been cut off: where a later one follows, something was damaged that had been answered. */
function assertEnd(file: Buffer, start: number, last: number, seed: number): void {
  const end = writtenEnd(file);
  for (let position = start + 1; position < end; position++) {
    // No number is that large: most places are passed over by this.
    if (file[position + numberOffset] !== 0) continue;
    const number = numberAt(file, position);
    if (number > last && number <= last + maxRecords && recordAt(file, position, seed))
      throw new RangeError(`Record ${last + 1} of the log of writes is damaged`);
  }
}

/** Behind it the file is the hole that it began as. */
function writtenEnd(file: Buffer): number {
  const hole = Buffer.alloc(64 * 1024);
  let end = file.length;
  while (
    end > 0 &&
    hole.subarray(0, Math.min(end, hole.length)).equals(file.subarray(Math.max(0, end - hole.length), end))
  )
    end = Math.max(0, end - hole.length);
  return end;
}

function writeWhole(file: number, bytes: Buffer, offset: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, bytes.length - done, offset + done);
}

function synced(file: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fdatasync(file, (error) => (error ? reject(error) : resolve()));
  });
}

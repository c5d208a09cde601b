import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MvccEngine } from '../../../../kvstore/engine/index.ts';
import { LmdbBackend } from '../../../../kvstore/embedded/lmdb-backend.ts';
import { openLog } from '../../../../kvstore/embedded/open-log.ts';
import { closeTables, openTables } from '../../../../kvstore/embedded/tables.ts';
import { WriteAheadLog, decodeWrites, recordsBehind, removeLogs } from '../../../../kvstore/embedded/wal/index.ts';
import { openEmbeddedEngine } from '../../../../kvstore/index.ts';
import { VirtualClock, systemClock } from '../../../../runtime/clock/index.ts';
import { randomFrom } from '../random.ts';
import type { Table, TableWrite } from '../../../../kvstore/embedded/table-types.ts';

// Files of four megabytes are read again and again.
jest.setTimeout(300_000);

const tables = Array.from({ length: 6 }, () => ({}) as Table);
const storeId = Buffer.from('12345678');
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const everything = { key: new Uint8Array([0]), rangeEnd: new Uint8Array([0]) };
let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-wal-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function open(applied = 0, owner = 'me', owned = () => true): WriteAheadLog {
  return new WriteAheadLog({ directory, tables, storeId, applied, owner, owned });
}

function write(table: number, key: string, value?: Buffer): TableWrite {
  return { table: tables[table] as Table, key: Buffer.from(key), ...(value ? { value } : {}) };
}

function readable(writes: Iterable<TableWrite>): string[] {
  return [...writes].map(({ table, key, value }) => `${tables.indexOf(table)} ${key.toString()}=${value?.toString()}`);
}

/** A file of the log without the hole at its end. */
function written(path: string): Buffer {
  const content = readFileSync(path);
  return content.subarray(0, content.findLastIndex((byte) => byte !== 0) + 1);
}

const found = (applied = 0): string[][] =>
  recordsBehind(directory, storeId, applied).map(({ writes }) => readable(decodeWrites(tables, writes)));

describe('the write-ahead log', () => {
  test('gives back what was written: puts, removals, values that two tables share, empty values', async () => {
    const log = open();
    const shared = Buffer.from('shared');
    const writes = [
      write(1, 'log', shared),
      write(0, 'cur', shared),
      write(2, 'gone'),
      write(0, 'again', shared),
      write(4, 'empty', Buffer.alloc(0)),
      write(3, '', Buffer.from('no key')),
    ];
    expect(await log.append(writes)).toBe(1);
    expect(await log.append([write(5, 'meta', Buffer.from('x'))])).toBe(2);
    log.close(true);
    expect(found()).toEqual([readable(writes), ['5 meta=x']]);
    expect(found(1)).toEqual([['5 meta=x']]);
    expect(found(2)).toEqual([]);
  });

  test('ends where a record was cut off, wherever that is, and another store’s log is nothing', async () => {
    const log = open();
    await log.append([write(0, 'whole', Buffer.from('1'))]);
    const whole = written(join(directory, 'writes-me.0')).length;
    await log.append([write(0, 'torn', Buffer.alloc(50, 'x'))]);
    log.close(true);
    const path = join(directory, 'writes-me.0');
    const full = written(path);
    for (let length = whole; length < full.length; length++) {
      writeFileSync(path, full.subarray(0, length));
      expect(found()).toEqual([['0 whole=1']]);
    }
    // A block of zeros, or of something else, where the end was not written.
    for (const filler of [0, 0xff, 0x41]) {
      for (let from = whole; from < full.length; from += 7) {
        writeFileSync(path, Buffer.concat([full.subarray(0, from), Buffer.alloc(full.length + 100 - from, filler)]));
        expect(found().slice(1)).toEqual([]);
      }
    }
    writeFileSync(path, full);
    expect(found()).toHaveLength(2);
    expect(recordsBehind(directory, Buffer.from('87654321'), 0)).toEqual([]);
    renameSync(path, join(directory, 'writes-you.0'));
    expect(found()).toEqual([]);
  });

  test('uses its two files over and over, and finds what the tables lack at every moment', async () => {
    const log = open();
    const random = randomFrom(5);
    let released = 0;
    for (let number = 1; number <= 120; number++) {
      const size = 20_000 + Math.floor(random() * 300_000);
      expect(await log.append([write(0, `k${number}`, Buffer.alloc(size, number))])).toBe(number);
      const records = recordsBehind(directory, storeId, released);
      expect(records.map((record) => record.number)).toEqual(
        Array.from({ length: number - released }, (_, i) => released + 1 + i),
      );
      if (random() < 0.3) log.release((released = number - Math.floor(random() * (number - released))));
    }
    log.close(false);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('says so when a record is missing in between', async () => {
    const log = open();
    for (let i = 0; i < 3; i++) await log.append([write(0, `${i}`, Buffer.from('x'))]);
    log.close(true);
    const later = open(4, 'later');
    await later.append([write(0, 'five', Buffer.from('x'))]);
    later.close(true);
    expect(() => found()).toThrow('Record 4 of the log of writes is missing');
    expect(found(3 + 1)).toEqual([['0 five=x']]);
    removeLogs(directory, 'nobody');
    expect(readdirSync(directory)).toEqual([]);
  });

  test('says so when a record is damaged that others follow', async () => {
    const log = open();
    for (let i = 0; i < 5; i++) await log.append([write(0, `${i}`, Buffer.alloc(100, 'x'))]);
    log.close(true);
    const path = join(directory, 'writes-me.0');
    const whole = written(path);
    const record = whole.length / 5;
    for (let at = record; at < whole.length; at += 13) {
      const damaged = Buffer.from(whole);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at);
      writeFileSync(path, damaged);
      if (at < 4 * record) expect(() => found()).toThrow(/Record \d of the log of writes is damaged/);
      else expect(found()).toHaveLength(4);
    }
  });

  test('acknowledges nothing once another process has the store', async () => {
    let owned = true;
    const log = open(0, 'me', () => owned);
    await log.append([write(0, 'a', Buffer.from('x'))]);
    owned = false;
    await expect(log.append([write(0, 'b', Buffer.from('x'))])).rejects.toThrow('taken over by another process');
    owned = true;
    await expect(log.append([write(0, 'c', Buffer.from('x'))])).rejects.toThrow('taken over by another process');
    log.close(true);
  });
});

describe('the embedded engine on its log', () => {
  /** Ends it as a kill would: nothing is taken to the tables any more. */
  async function killed(work: (engine: MvccEngine) => Promise<void>): Promise<void> {
    const store = await openTables(directory);
    const log = openLog(store);
    const write = (): Promise<void> => new Promise(() => undefined);
    const engine = new MvccEngine(new LmdbBackend(store, { log, write }), {}, { clock: systemClock });
    await work(engine);
    log.close(true);
    await closeTables(store);
  }
  const textsOf = (kvs: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]): string[] =>
    kvs.map(({ key, value }) => `${Buffer.from(key).toString()}=${Buffer.from(value).toString()}`);

  test('answers from it before the tables have anything, and a restart finds everything', async () => {
    await killed(async (engine) => {
      await engine.leaseGrant({ id: 7n, ttl: 100 });
      await engine.put({ key: bytes('a'), value: bytes('1'), lease: 7n });
      await engine.put({ key: bytes('b'), value: bytes('1') });
      await engine.put({ key: bytes('b'), value: bytes('2') });
      await engine.deleteRange({ key: bytes('a') });
      await engine.put({ key: bytes('c'), value: bytes('3'), lease: 7n });
      const now = await engine.range(everything);
      expect(now).toMatchObject({ count: 2, revision: 6 });
      expect(textsOf(now.kvs)).toEqual(['b=2', 'c=3']);
      expect(textsOf((await engine.range({ ...everything, revision: 3 })).kvs)).toEqual(['a=1', 'b=1']);
      expect((await engine.range({ ...everything, countOnly: true })).count).toBe(2);
      expect((await engine.status()).keys).toBe(2);
    });
    await using engine = await openEmbeddedEngine({ directory, clock: systemClock, autoCompaction: { mode: 'off' } });
    expect(engine.revision).toBe(6);
    expect(textsOf((await engine.range(everything)).kvs)).toEqual(['b=2', 'c=3']);
    expect(textsOf((await engine.range({ ...everything, revision: 3 })).kvs)).toEqual(['a=1', 'b=1']);
    expect((await engine.leaseTimeToLive(7n, true)).keys.map((key) => Buffer.from(key).toString())).toEqual(['c']);
    expect(readdirSync(directory).filter((name) => name.startsWith('writes-'))).toHaveLength(2);
  });

  test('a last record that was not written to its end never was', async () => {
    await killed(async (engine) => {
      await engine.put({ key: bytes('a'), value: bytes('1') });
      await engine.put({ key: bytes('b'), value: bytes('1') });
    });
    const [name = ''] = readdirSync(directory).filter((one) => one.startsWith('writes-') && one.endsWith('.0'));
    const content = readFileSync(join(directory, name));
    content[content.findLastIndex((byte) => byte !== 0)] = 0;
    writeFileSync(join(directory, name), content);
    await using engine = await openEmbeddedEngine({ directory, clock: systemClock });
    expect(engine.revision).toBe(2);
    expect(textsOf((await engine.range(everything)).kvs)).toEqual(['a=1']);
  });

  test('a compaction that only the log has is taken up, and what it frees goes', async () => {
    await killed(async (engine) => {
      for (let i = 0; i < 20; i++) await engine.put({ key: bytes('a'), value: bytes(`${i}`) });
      await engine.compact(15);
      await engine.put({ key: bytes('b'), value: bytes('1') });
    });
    await using engine = await openEmbeddedEngine({ directory, clock: systemClock });
    expect(engine.compactRevision).toBe(15);
    await expect(engine.range({ ...everything, revision: 14 })).rejects.toMatchObject({ grpcCode: 11 });
    expect(textsOf((await engine.range({ ...everything, revision: 15 })).kvs)).toEqual(['a=13']);
  });

  test('tables that cannot be written lose nothing and get it later', async () => {
    let failing = true;
    const store = await openTables(directory);
    const { lmdbWriter } = await import('../../../../kvstore/embedded/group-commit.ts');
    const clock = new VirtualClock();
    const backend = new LmdbBackend(store, {
      log: openLog(store),
      clock,
      write: (writes) => (failing ? Promise.reject(new Error('ENOSPC')) : lmdbWriter(store)(writes)),
    });
    await using engine = new MvccEngine(backend, {}, { clock: systemClock });
    await engine.put({ key: bytes('a'), value: bytes('1') });
    await clock.advance(20);
    await engine.put({ key: bytes('b'), value: bytes('1') });
    expect(textsOf((await engine.range(everything)).kvs)).toEqual(['a=1', 'b=1']);
    failing = false;
    await clock.advance(1000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await clock.advance(20);
    expect(textsOf((await engine.range(everything)).kvs)).toEqual(['a=1', 'b=1']);
  });
});

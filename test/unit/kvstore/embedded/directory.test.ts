import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LmdbBackend } from '../../../../kvstore/embedded/lmdb-backend.ts';
import { openLog } from '../../../../kvstore/embedded/open-log.ts';
import { noteStop } from '../../../../kvstore/embedded/stop-note.ts';
import { closeTables, openTables } from '../../../../kvstore/embedded/tables.ts';
import { MvccEngine } from '../../../../kvstore/engine/index.ts';
import { StoreDirectoryError, openEmbeddedEngine } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { ballast } from './pages.ts';

const clock = systemClock;
let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-directory-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('the data directory', () => {
  test('is made when absent, for its owner alone', async () => {
    const path = join(directory, 'deep/store');
    await using _engine = await openEmbeddedEngine({ directory: path, clock });
    expect(existsSync(path)).toBe(true);
    expect(statSync(path).mode & 0o077).toBe(0);
  });

  test('keeps its ids, and another directory has others', async () => {
    const idsOf = async (path: string): Promise<bigint[]> => {
      await using engine = await openEmbeddedEngine({ directory: join(directory, path), clock });
      return [engine.clusterId, engine.memberId];
    };
    const first = await idsOf('a');
    expect(await idsOf('a')).toEqual(first);
    expect(await idsOf('b')).not.toEqual(first);
    expect(first).not.toContain(0n);
  });

  test('lets nobody in twice', async () => {
    await using _engine = await openEmbeddedEngine({ directory, clock });
    const second = openEmbeddedEngine({ directory, clock });
    await expect(second).rejects.toThrow(`Store in ${directory} is in use by process ${process.pid}`);
    await expect(second).rejects.toMatchObject({ problem: 'in-use', pid: process.pid, retry: 'never' });
  });

  test('of several that want it at once exactly one gets it', async () => {
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => openEmbeddedEngine({ directory, clock })));
    const got = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.problem] : []));
    expect(got.length).toBe(1);
    expect(refused).toEqual(Array(7).fill('in-use'));
    for (const engine of got) await engine[Symbol.asyncDispose]();
    expect(readdirSync(directory).toSorted()).toEqual([
      'data.mdb',
      'isthmus-stopped.json',
      'isthmus-store.json',
      'lock.mdb',
    ]);
  });

  test('is locked wherever it lies: its path may be longer than that of a socket', async () => {
    const path = join(directory, 'a-long-name-'.repeat(8), 'another-long-name-'.repeat(8));
    await using _engine = await openEmbeddedEngine({ directory: path, clock });
    await expect(openEmbeddedEngine({ directory: path, clock })).rejects.toMatchObject({ problem: 'in-use' });
  });

  test('an engine whose store was taken over writes no more', async () => {
    const tables = await openTables(directory);
    await using engine = new MvccEngine(new LmdbBackend(tables), {}, { clock });
    await engine.put({ key: Buffer.from('a'), value: Buffer.from('1') });
    const { table, key } = tables.ownership;
    table.putSync(key, Buffer.from('another one'), 7);
    const put = engine.put({ key: Buffer.from('a'), value: Buffer.from('2') });
    await expect(put).rejects.toMatchObject({ grpcCode: 14, cause: { problem: 'in-use' } });
    table.putSync(key, Buffer.from('this one again'), tables.ownership.version);
    await expect(engine.put({ key: Buffer.from('a'), value: Buffer.from('3') })).rejects.toMatchObject({
      grpcCode: 14,
    });
    expect(engine.revision).toBe(2);
    expect((await engine.range({ key: Buffer.from('a') })).kvs[0]?.value).toEqual(new Uint8Array(Buffer.from('1')));
  });

  test('refuses a second process and names the first', async () => {
    await using engine = await openEmbeddedEngine({ directory, clock });
    const face = new URL('../../../../kvstore/embedded/index.ts', import.meta.url).href;
    const clockFace = new URL('../../../../runtime/clock/index.ts', import.meta.url).href;
    const program = `import { openEmbeddedEngine } from '${face}'; import { systemClock as clock } from '${clockFace}';
      try { await openEmbeddedEngine({ directory: ${JSON.stringify(directory)}, clock }); } catch (error) { console.log(error.message); }`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
    expect(stdout).toContain(`Store in ${directory} is in use by process ${process.pid}`);
    await engine.put({ key: Buffer.from('a'), value: Buffer.from('the first still works') });
  });

  test('can be opened again after its process was killed', async () => {
    const face = new URL('../../../../kvstore/embedded/index.ts', import.meta.url).href;
    const clockFace = new URL('../../../../runtime/clock/index.ts', import.meta.url).href;
    const program = `import { openEmbeddedEngine } from '${face}'; import { systemClock as clock } from '${clockFace}';
      const engine = await openEmbeddedEngine({ directory: ${JSON.stringify(directory)}, clock });
      await engine.put({ key: Buffer.from('a'), value: Buffer.from('x') }); process.kill(process.pid, 'SIGKILL');`;
    const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    expect(signal).toBe('SIGKILL');
    await using engine = await openEmbeddedEngine({ directory, clock });
    expect(engine.revision).toBe(2);
  });

  test('is left alone when it holds something else', async () => {
    writeFileSync(join(directory, 'notes.txt'), 'not a store');
    const opening = openEmbeddedEngine({ directory, clock });
    await expect(opening).rejects.toThrow(StoreDirectoryError);
    await expect(opening).rejects.toMatchObject({ problem: 'foreign', message: expect.stringContaining('notes.txt') });
    expect(readdirSync(directory)).toEqual(['notes.txt']);
  });

  test.each([
    { problem: 'newer', marker: '{"product":"isthmus","format":99}', says: /format 99/ },
    { problem: 'older', marker: '{"product":"isthmus","format":1}', says: /format 1 .* start with an empty one/ },
    { problem: 'foreign', marker: '{"product":"another"}', says: /another program/ },
    { problem: 'foreign', marker: 'not JSON', says: /another program/ },
  ])('is refused when its mark says $marker', async ({ problem, marker, says }) => {
    writeFileSync(join(directory, 'isthmus-store.json'), marker);
    const opening = openEmbeddedEngine({ directory, clock });
    await expect(opening).rejects.toMatchObject({ problem });
    await expect(opening).rejects.toThrow(says);
    expect(readdirSync(directory)).toEqual(['isthmus-store.json']);
  });

  describe('that is damaged or was copied in part is refused with the cure, and left as it is', () => {
    const clean = async (): Promise<void> => {
      await using engine = await openEmbeddedEngine({ directory, clock });
      for (let i = 0; i < 300; i++)
        await engine.put({ key: Buffer.from(`k${i}`), value: Buffer.alloc(i % 50 ? 300 : 9000, 'x') });
    };
    /** As a kill leaves it: the last writes are in its log only. */
    const killed = async (): Promise<void> => {
      const tables = await openTables(directory);
      const log = openLog(tables);
      const write = (): Promise<void> => new Promise(() => undefined);
      const engine = new MvccEngine(new LmdbBackend(tables, { log, write }), {}, { clock });
      await engine.put({ key: Buffer.from('a'), value: Buffer.from('1') });
      log.close(true);
      await closeTables(tables);
    };
    const file = (end: string): string =>
      join(directory, readdirSync(directory).find((one) => one.endsWith(end)) ?? '');
    const cut = (end: string, keep: number): void =>
      truncateSync(file(end), Math.floor(statSync(file(end)).size * keep));
    const overwrite = (start: number, length: number, byte: number): void => {
      const opened = openSync(file('data.mdb'), 'r+');
      writeSync(opened, Buffer.alloc(length, byte), 0, length, start);
      closeSync(opened);
    };
    const contents = (): unknown =>
      readdirSync(directory)
        .toSorted()
        .filter((name) => name !== 'lock.mdb')
        .map((name) => [
          name,
          createHash('sha256')
            .update(readFileSync(join(directory, name)))
            .digest('hex'),
        ]);

    test.each([
      {
        what: 'its tables are missing',
        made: clean,
        harm: () => rmSync(file('data.mdb')),
        says: /data.mdb is missing/,
      },
      { what: 'its tables are empty', made: clean, harm: () => cut('data.mdb', 0), says: /does not begin as one/ },
      {
        what: 'its tables begin with something else',
        made: clean,
        harm: () => overwrite(0, 8192, 0x5a),
        says: /begin/,
      },
      {
        what: 'half of its tables is there',
        made: clean,
        harm: () => cutPages(0.5),
        says: /a copy that was cut short/,
      },
      { what: 'all but the end of its tables is there', made: clean, harm: () => cutPages(0.95), says: /cut short/ },
      {
        what: 'pages of its tables are blank',
        made: clean,
        harm: () => overwrite(8192, 10 * 4096, 0),
        says: /page \d+ of its data.mdb is blank/,
      },
      { what: 'the tables are another store’s', made: clean, harm: () => mixUp(), says: /not those of the store/ },
      { what: 'its log is missing', made: killed, harm: () => rmSync(file('.0')), says: /writes-.*0 is missing/ },
      {
        what: 'its log was copied in part',
        made: killed,
        harm: () => cut('.1', 0.5),
        says: /writes-.*1 was cut short/,
      },
    ])('$what', async ({ made, harm, says }) => {
      await made();
      harm();
      const before = contents();
      const opening = openEmbeddedEngine({ directory, clock });
      await expect(opening).rejects.toMatchObject({ problem: 'damaged', code: 'KVSTORE_DIRECTORY' });
      await expect(opening).rejects.toThrow(says);
      await expect(opening).rejects.toThrow('isthmus store restore');
      expect(contents()).toEqual(before);
    });

    /** Of the pages that are in use: behind them the file is a hole. */
    function cutPages(keep: number): void {
      const lastPage = Number(
        [0, 4096]
          .map((at) => readFileSync(file('data.mdb')).readBigUInt64LE(at + 144))
          .reduce((a, b) => (a > b ? a : b)),
      );
      truncateSync(file('data.mdb'), Math.floor((lastPage + 1) * keep) * 4096);
    }
    function mixUp(): void {
      const mark = file('isthmus-store.json');
      const store = '0123456789abcdef';
      writeFileSync(mark, JSON.stringify({ ...JSON.parse(readFileSync(mark, 'utf8')), store }));
    }
  });

  test('that is found damaged later raises an alarm that says what to do, takes no write, and is refused at the next start', async () => {
    const name = (i: number): Buffer => Buffer.from(`k${String(i).padStart(4, '0')}`);
    {
      await using engine = await openEmbeddedEngine({ directory, clock, autoCompaction: { mode: 'off' } });
      for (let i = 0; i < 3000; i++) void engine.put({ key: name(i), value: Buffer.alloc(300, 'x') });
      await engine.put({ key: name(3000), value: Buffer.from('x') });
      await ballast(engine);
    }
    // What a start reads stays whole.
    const path = join(directory, 'data.mdb');
    const tables = readFileSync(path);
    for (let at = 8192; at < tables.length; at += 4096)
      if (tables.subarray(at, at + 4096).includes(name(1500))) tables.fill(0, at, at + 4096);
    writeFileSync(path, tables);
    // As what a disk forgets: nobody has touched the file.
    noteStop(directory);
    const cure = expect.stringContaining('isthmus store restore');
    const corrupt = { grpcCode: 15, message: 'etcdserver: corrupt cluster' };
    {
      await using engine = await openEmbeddedEngine({ directory, clock, autoCompaction: { mode: 'off' } });
      await expect(engine.range({ key: name(1500) })).rejects.toMatchObject(corrupt);
      expect((await engine.status()).problem).toEqual({ type: 'damaged', message: cure });
      expect(engine.broken.aborted).toBe(false);
      await expect(engine.put({ key: name(1), value: name(1) })).rejects.toMatchObject(corrupt);
      await expect(engine.compact(2)).rejects.toMatchObject(corrupt);
      expect((await engine.range({ key: name(1) })).kvs).toHaveLength(1);
    }
    await expect(openEmbeddedEngine({ directory, clock })).rejects.toThrow(/page \d+ of its data.mdb is blank/);
  });

  test('whose first start was cut short is begun anew', async () => {
    writeFileSync(join(directory, 'isthmus-store.json'), '{"product":"isthmus","format":3}');
    writeFileSync(join(directory, 'data.mdb'), Buffer.alloc(8192));
    await using engine = await openEmbeddedEngine({ directory, clock });
    expect(engine.revision).toBe(1);
  });

  test('is whole again after a kill at any time, however large what was written at once', async () => {
    const face = new URL('../../../../kvstore/embedded/index.ts', import.meta.url).href;
    const clockFace = new URL('../../../../runtime/clock/index.ts', import.meta.url).href;
    const program = `import { openEmbeddedEngine } from '${face}'; import { systemClock as clock } from '${clockFace}';
      const engine = await openEmbeddedEngine({ directory: ${JSON.stringify(directory)}, clock });
      for (let round = 0; round < 3; round++)
        await Promise.all(Array.from({ length: 40 }, (_, i) =>
          engine.put({ key: Buffer.from('k' + i), value: Buffer.alloc(round % 2 ? 100 : 1_000_000) })));
      process.kill(process.pid, 'SIGKILL');`;
    spawnSync(process.execPath, ['--input-type=module', '-e', program]);
    await using engine = await openEmbeddedEngine({ directory, clock });
    expect((await engine.range({ key: Buffer.from('k'), rangeEnd: Buffer.from('l') })).count).toBe(40);
  });

  test('has files for its owner alone, whatever the directory was', async () => {
    chmodSync(directory, 0o755);
    await using _engine = await openEmbeddedEngine({ directory, clock });
    const files = readdirSync(directory).filter((name) => !name.startsWith('isthmus-lock'));
    expect(files.filter((name) => (statSync(join(directory, name)).mode & 0o077) !== 0)).toEqual([]);
  });
});

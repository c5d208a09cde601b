import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  cpSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Engine } from '../../../../kvstore/contract/index.ts';
import { openEmbeddedEngine } from '../../../../kvstore/embedded/index.ts';
import { checkPages } from '../../../../kvstore/embedded/page-check.ts';
import { noteStop, untouchedSinceStop } from '../../../../kvstore/embedded/stop-note.ts';
import { systemClock as clock } from '../../../../runtime/clock/index.ts';
import { Random } from '../../../../runtime/random/index.ts';
import { ballast, blankPages, fill, name, pageSize, pagesInUse } from './pages.ts';
import { unnoticedHarms } from './harm-pages.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-page-check-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = (): Promise<Engine> => openEmbeddedEngine({ directory, clock, autoCompaction: { mode: 'off' } });
const tables = (): string => join(directory, 'data.mdb');

const blankPagesOf = (key: Buffer): void => blankPages(tables(), key);

describe('the pages of a store', () => {
  test('are found good, whatever was written, deleted and compacted, and however it ended', async () => {
    const random = new Random(7);
    const below = (limit: number): number => random.int(limit);
    for (let round = 0; round < 6; round++) {
      await using engine = await open();
      for (let i = 0; i < 600; i++) {
        // Keys of which one begins with another, of zeros, and as long as they may be.
        const key = Buffer.alloc(1 + below(i % 50 === 0 ? 1900 : 6), below(3));
        key[key.length - 1] = below(256);
        if (below(4) === 0)
          void engine.deleteRange({ key, rangeEnd: Buffer.from([below(256)]) }).catch(() => undefined);
        else void engine.put({ key, value: Buffer.alloc(below(i % 20 === 0 ? 30_000 : 500)) });
      }
      await engine.put({ key: name(0), value: Buffer.from('x') });
      if (round % 2 === 1) await engine.compact(engine.revision - below(300));
      // As a kill would leave them: LMDB is always at some commit.
      const copy = mkdtempSync(join(directory, '..', 'isthmus-page-check-'));
      copyFileSync(tables(), join(copy, 'data.mdb'));
      await checkPages(copy);
      rmSync(copy, { recursive: true });
    }
    await checkPages(directory);
  });

  test('are each missed when one is blank, another one, or from another time', async () => {
    {
      await using engine = await open();
      await fill(engine);
    }
    const whole = readFileSync(tables());
    const pages = pagesInUse(whole);
    expect(pages.length).toBeGreaterThan(500);
    await checkPages(directory);
    const look = (): Promise<void> => checkPages(directory);
    expect(await unnoticedHarms({ file: tables(), whole, pageSize, pages, rounds: 40, look })).toEqual([]);
    await checkPages(directory);
  });

  test('of a copy that was made while the store was written are refused at the start, with the cure', async () => {
    const copied: Buffer[] = [];
    for (const value of ['x', 'y', 'z']) {
      {
        await using engine = await open();
        await fill(engine, value);
      }
      copied.push(readFileSync(tables()));
    }
    // What an orderly stop would have removed.
    writeFileSync(join(directory, 'writes-left.0'), '');
    const [before = Buffer.alloc(0), , after = Buffer.alloc(0)] = copied;
    // The heads and some pages were copied before, the others later.
    const torn = Buffer.from(after);
    before.copy(torn, 0, 0, 20 * pageSize);
    writeFileSync(tables(), torn);
    const opening = open();
    await expect(opening).rejects.toMatchObject({ problem: 'damaged', code: 'KVSTORE_DIRECTORY' });
    await expect(opening).rejects.toThrow(/page \d+ of its data.mdb .*isthmus store restore/);
    expect(readFileSync(tables()).equals(torn)).toBe(true);
  });

  test('over which a process died are named when it is started again', async () => {
    {
      await using engine = await open();
      await fill(engine);
      await ballast(engine);
    }
    blankPagesOf(name(1500));
    noteStop(directory);
    const face = new URL('../../../../kvstore/embedded/index.ts', import.meta.url).href;
    const clockFace = new URL('../../../../runtime/clock/index.ts', import.meta.url).href;
    const program = `import { openEmbeddedEngine } from '${face}'; import { systemClock as clock } from '${clockFace}';
      const engine = await openEmbeddedEngine({ directory: ${JSON.stringify(directory)}, clock });
      await engine.range({ key: Buffer.from([0]), rangeEnd: Buffer.from([0]) });`;
    const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    expect(signal).toBe('SIGABRT');
    await expect(open()).rejects.toThrow(/page \d+ of its data.mdb is blank.*isthmus store restore/);
  });

  test('that change while they are read are no damage: another process writes them', async () => {
    {
      await using engine = await open();
      for (let i = 0; i < 9000; i++) void engine.put({ key: name(i), value: Buffer.alloc(900) });
      await engine.put({ key: name(9000), value: Buffer.from('x') });
    }
    const bytes = readFileSync(tables());
    const checking = checkPages(directory);
    // It has read a part in one go, and continues with the next turn.
    const newest = bytes.readBigUInt64LE(152) > bytes.readBigUInt64LE(pageSize + 152) ? 0 : pageSize;
    bytes.writeBigUInt64LE(bytes.readBigUInt64LE(newest + 152) + 1n, newest + 152);
    for (const page of pagesInUse(bytes)) bytes.writeBigUInt64LE(1_000_000n, page * pageSize + 8);
    const file = openSync(tables(), 'r+');
    writeSync(file, bytes);
    closeSync(file);
    await expect(checking).rejects.toMatchObject({ problem: 'in-use' });
  });

  test('are not read at the start after an orderly stop, if they are many and nobody has touched them since', async () => {
    {
      await using engine = await open();
      await fill(engine);
      await ballast(engine);
    }
    blankPagesOf(name(1500));
    await expect(open()).rejects.toThrow(/page \d+ of its data.mdb is blank.*isthmus store restore/);
    noteStop(directory);
    await using engine = await open();
    expect((await engine.range({ key: name(1) })).kvs).toHaveLength(1);
  });

  test('of a store that is not large are read at every start', async () => {
    {
      await using engine = await open();
      await fill(engine);
    }
    blankPagesOf(name(1500));
    noteStop(directory);
    expect(untouchedSinceStop(directory)).toBe(true);
    await expect(open()).rejects.toThrow(/page \d+ of its data.mdb is blank.*isthmus store restore/);
  });

  test('over which a start died are named by the next one', async () => {
    {
      await using engine = await open();
      await fill(engine);
      await ballast(engine);
    }
    const bytes = readFileSync(tables());
    // Nothing but heads is left, so that the first read of a start meets it.
    for (const page of pagesInUse(bytes)) bytes.fill(0, page * pageSize, (page + 1) * pageSize);
    writeFileSync(tables(), bytes);
    noteStop(directory);
    const face = new URL('../../../../kvstore/embedded/index.ts', import.meta.url).href;
    const clockFace = new URL('../../../../runtime/clock/index.ts', import.meta.url).href;
    const program = `import { openEmbeddedEngine } from '${face}'; import { systemClock as clock } from '${clockFace}';
      await openEmbeddedEngine({ directory: ${JSON.stringify(directory)}, clock });`;
    expect(spawnSync(process.execPath, ['--input-type=module', '-e', program]).status).not.toBe(0);
    await expect(open()).rejects.toThrow(/page \d+ of its data.mdb is blank.*isthmus store restore/);
  });

  test.each([
    { what: 'a copy', touch: () => cpSync(tables(), `${tables()}.new`, { preserveTimestamps: true }) },
    { what: 'another owner, or other rights', touch: () => copyFileSync(tables(), `${tables()}.new`) },
  ])('of $what are read at the start, whatever its times say', async ({ touch }) => {
    {
      await using engine = await open();
      await fill(engine);
    }
    expect(untouchedSinceStop(directory)).toBe(true);
    touch();
    renameSync(`${tables()}.new`, tables());
    expect(untouchedSinceStop(directory)).toBe(false);
    {
      await using engine = await open();
      await engine.put({ key: name(1), value: name(1) });
    }
    expect(untouchedSinceStop(directory)).toBe(true);
  });
});

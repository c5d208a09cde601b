import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openEmbeddedEngine } from '../../../../kvstore/embedded/index.ts';
import { LmdbBackend } from '../../../../kvstore/embedded/lmdb-backend.ts';
import { metaKeys } from '../../../../kvstore/embedded/meta.ts';
import { openLog } from '../../../../kvstore/embedded/open-log.ts';
import { patrolPages } from '../../../../kvstore/embedded/page-patrol.ts';
import { noteStop } from '../../../../kvstore/embedded/stop-note.ts';
import { openTables } from '../../../../kvstore/embedded/tables.ts';
import { MvccEngine } from '../../../../kvstore/engine/index.ts';
import { type Clock, systemClock } from '../../../../runtime/clock/index.ts';
import { Random } from '../../../../runtime/random/index.ts';
import { until } from '../../../support/until.ts';
import { ballast, blankPages, fill, name, pageSize, pagesInUse } from './pages.ts';
import { unnoticedHarms } from './harm-pages.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-page-patrol-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const never = new AbortController().signal;
const path = (): string => join(directory, 'data.mdb');

/** A clock whose pauses are a turn each, and counted. */
class Counted {
  pauses = 0;
  readonly clock: Clock = {
    now: () => systemClock.now(),
    monotonicMs: () => systemClock.monotonicMs(),
    timer: (ms, call) => systemClock.timer(ms, call),
    sleep: async () => {
      this.pauses += 1;
      await turn();
    },
  };
}

describe('the patrol over the pages of a store that is served', () => {
  test('finds nothing wrong, whatever is written, deleted and compacted meanwhile, and makes way again and again', async () => {
    const tables = await openTables(directory);
    await using engine = new MvccEngine(new LmdbBackend(tables, { log: openLog(tables) }), {}, { clock: systemClock });
    await fill(engine);
    const ended = new AbortController();
    const writing = (async () => {
      const random = new Random(9);
      while (!ended.signal.aborted) {
        const some = Array.from({ length: 50 }, () => {
          const key = name(random.int(5000));
          if (random.int(4) === 0) return engine.deleteRange({ key, rangeEnd: name(random.int(5000)) });
          return engine.put({ key, value: Buffer.alloc(random.int(12) === 0 ? 9000 : 300) });
        });
        await Promise.all(some);
        await engine.compact(engine.revision - 20);
      }
    })();
    const { clock } = new Counted();
    for (let i = 0; i < 8; i++) await patrolPages({ tables, clock }, never);
    ended.abort();
    await writing;
    const counted = new Counted();
    await patrolPages({ tables, clock: counted.clock }, never);
    expect(counted.pauses).toBeGreaterThan(pagesInUse(readFileSync(path())).length / 100);
  });

  test('finds each page that is blank, another one, or from another time', async () => {
    const tables = await openTables(directory);
    await using engine = new MvccEngine(new LmdbBackend(tables, { log: openLog(tables) }), {}, { clock: systemClock });
    await fill(engine);
    // What is still being swept reads pages while they are damaged, and LMDB ends the process over such a one.
    let size = -1;
    await until(
      async () => {
        const swept = tables.meta.get(metaKeys.sweep) === undefined;
        return size === (size = (await engine.status()).dbSizeInUse) && swept;
      },
      () => systemClock.sleep(100),
    );
    const { clock } = new Counted();
    await patrolPages({ tables, clock }, never);
    const whole = readFileSync(path());
    // Those of keys and long values; the patrol itself asks LMDB for some of the others.
    const pages = pagesInUse(whole).filter((page) => {
      const content = whole.subarray(page * pageSize, (page + 1) * pageSize);
      return (content.readUInt16LE(18) & 4) !== 0 || content.includes('k0');
    });
    expect(pages.length).toBeGreaterThan(400);
    const look = (): Promise<void> => patrolPages({ tables, clock }, never);
    expect(await unnoticedHarms({ file: path(), whole, pageSize, pages, rounds: 8, look })).toEqual([]);
    await patrolPages({ tables, clock }, never);
  });

  test('raises an alarm that says what to do, and ends nothing; the next start refuses', async () => {
    {
      await using engine = await openEmbeddedEngine({ directory, clock: systemClock });
      for (let i = 0; i < 3000; i++) void engine.put({ key: name(i), value: Buffer.alloc(300, 'x') });
      await engine.put({ key: name(3000), value: Buffer.from('x') });
      await ballast(engine);
    }
    blankPages(path(), name(1500));
    // As a disk forgets: nobody has touched the file.
    noteStop(directory);
    {
      await using engine = await openEmbeddedEngine({ directory, clock: systemClock });
      await until(
        async () => (await engine.status()).problem !== undefined,
        () => systemClock.sleep(20),
      );
      expect((await engine.status()).problem).toEqual({
        type: 'damaged',
        message: expect.stringMatching(/page \d+ of its data.mdb is blank.*isthmus store restore/),
      });
      expect(engine.broken.aborted).toBe(false);
      await expect(engine.put({ key: name(1), value: name(1) })).rejects.toMatchObject({ grpcCode: 15 });
      expect((await engine.range({ key: name(1) })).kvs).toHaveLength(1);
    }
    await expect(openEmbeddedEngine({ directory, clock: systemClock })).rejects.toThrow(/is blank/);
  });
});

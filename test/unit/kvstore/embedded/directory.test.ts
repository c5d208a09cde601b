import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LmdbBackend } from '../../../../kvstore/embedded/lmdb-backend.ts';
import { openTables } from '../../../../kvstore/embedded/tables.ts';
import { MvccEngine } from '../../../../kvstore/engine/index.ts';
import { StoreDirectoryError, openEmbeddedEngine } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';

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
    expect(readdirSync(directory).toSorted()).toEqual(['data.mdb', 'isthmus-store.json', 'lock.mdb']);
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
});

import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineReadiness, whileWritable } from '../../../cli/serve-store.ts';
import { aborted } from '../../../cli/wait.ts';
import { LmdbBackend } from '../../../kvstore/embedded/lmdb-backend.ts';
import { openTables } from '../../../kvstore/embedded/tables.ts';
import { MvccEngine } from '../../../kvstore/engine/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';

describe('a process that is a store', () => {
  test('ends with the reason as soon as the store cannot be written to any more', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'isthmus-broken-'));
    try {
      const write = (): Promise<void> => Promise.reject(new Error('EIO: input/output error'));
      const backend = new LmdbBackend(await openTables(directory), { write });
      await using engine = new MvccEngine(backend, {}, { clock: systemClock });
      const stopping = new AbortController();
      const running = whileWritable(engine, stopping.signal, aborted);
      expect(await engineReadiness(engine)).toEqual({ ready: true });
      const put = engine.put({ key: Buffer.from('a'), value: Buffer.from('1') });
      await expect(put).rejects.toMatchObject({ grpcCode: 14 });
      await expect(running).rejects.toThrow('has to be started again: EIO: input/output error');
      expect(await engineReadiness(engine)).toMatchObject({ ready: false });
      // And one that begins then does not run at all.
      await expect(whileWritable(engine, stopping.signal, aborted)).rejects.toMatchObject({ code: 'KVSTORE_BROKEN' });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test('ends without an error when it is told to', async () => {
    const stopping = new AbortController();
    const running = whileWritable(undefined, stopping.signal, aborted);
    stopping.abort();
    await running;
  });
});

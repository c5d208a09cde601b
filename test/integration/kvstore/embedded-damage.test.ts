import { expect, jest, test } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedEngine } from '../../../kvstore/embedded/index.ts';
import { noteStop } from '../../../kvstore/embedded/stop-note.ts';
import { methods } from '../../../kvstore/etcd/wire/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { RawEtcd } from '../../support/raw-etcd.ts';
import { until } from '../../support/until.ts';
import { ballast } from '../../unit/kvstore/embedded/pages.ts';

const isthmus = new URL('../../../bin/isthmus', import.meta.url).pathname;
const of = (text: string): Uint8Array => Buffer.from(text);
const name = (i: number): Buffer => Buffer.from(`k${String(i).padStart(5, '0')}`);

jest.setTimeout(300_000);

test('a store whose disk has forgotten a page raises an alarm and says what to do, serves what it can, and is refused when it is started again', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-damage-'));
  const path = join(directory, 'data.mdb');
  let child: ChildProcess | undefined;
  try {
    {
      await using engine = await openEmbeddedEngine({ directory, clock: systemClock });
      for (let i = 0; i < 3000; i++) void engine.put({ key: name(i), value: Buffer.alloc(300, 'x') });
      await engine.put({ key: name(3000), value: of('x') });
      // A store that is not large is looked at by its start.
      await ballast(engine);
    }
    const tables = readFileSync(path);
    // Leaves with this key; what a start reads stays whole.
    for (let at = 8192; at < tables.length; at += 4096)
      if (tables.readUInt16LE(at + 18) & 2 && tables.subarray(at, at + 4096).includes(name(1500)))
        tables.fill(0, at, at + 4096);
    writeFileSync(path, tables);
    // As if nobody had touched the file.
    noteStop(directory);

    let said = '';
    let logged = '';
    const serve = (): ChildProcess => {
      const started = spawn(isthmus, ['store', 'serve', '--data-dir', directory, '--listen', '127.0.0.1:0']);
      started.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
      started.stderr.setEncoding('utf8').on('data', (text: string) => (logged += text));
      return started;
    };
    child = serve();
    await until(() => /on 127\.0\.0\.1:\d+,/.test(said));
    const port = Number(/on 127\.0\.0\.1:(\d+),/.exec(said)?.[1]);
    const health = async (): Promise<string> => await (await fetch(`http://127.0.0.1:${port}/health`)).text();
    await until(async () => (await health()).includes('ALARM CORRUPT'));
    const cure = /page \d+ of its data\.mdb is blank.*isthmus store restore/;
    expect(await health()).toMatch(cure);
    expect(logged).toMatch(cure);
    {
      await using client = new RawEtcd(port);
      const { response: alarms } = await client.call(methods.alarm, {});
      expect(alarms?.alarms).toMatchObject([{ alarm: 'corrupt' }]);
      const { response: status } = await client.call(methods.status, {});
      expect(status?.errors.join(' ')).toMatch(cure);
      expect((await client.call(methods.range, { key: name(1) })).response?.count).toBe(1);
      expect(await client.call(methods.put, { key: name(1), value: of('y') })).toMatchObject({
        code: 15,
        message: 'etcdserver: corrupt cluster',
      });
    }
    const exited = once(child, 'exit') as Promise<[number | null]>;
    child.kill('SIGTERM');
    expect((await exited)[0]).toBe(0);

    logged = '';
    child = serve();
    const [code] = (await once(child, 'close')) as [number | null];
    expect({ code, logged }).toEqual({ code: 1, logged: expect.stringMatching(cure) });
  } finally {
    child?.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
});

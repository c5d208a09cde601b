import { expect, jest, test } from '@jest/globals';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { needs } from '../../support/probe.ts';

jest.setTimeout(120_000);

const isthmus = new URL('../../../bin/isthmus', import.meta.url).pathname;
/** As in a container: process ids and networks of its own. */
const apart = ['-n', '-pf', '--mount-proc', '--kill-child', 'sh', '-c', 'ip link set lo up; exec "$@"', 'sh'];
const options = (directory: string): string[] => ['store', 'serve', '--data-dir', directory, '--listen', '127.0.0.1:0'];
const serve = (directory: string): string[] => [isthmus, ...options(directory)];

needs(
  'linux',
  'root',
  'netns',
  'ip',
)('an embedded store that several containers share', () => {
  test('has one owner, whatever their process ids are, and is free once that one was killed', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'isthmus-containers-'));
    const owners: ChildProcess[] = [];
    try {
      owners.push(await started(spawn('unshare', [...apart, ...serve(directory)])));
      const second = spawnSync('unshare', [...apart, ...serve(directory)], { encoding: 'utf8', timeout: 60_000 });
      expect({ status: second.status, stdout: second.stdout }).toEqual({ status: 1, stdout: '' });
      expect(second.stderr).toContain(`Store in ${directory} is in use by process`);
      const home = spawnSync(isthmus, options(directory), {
        encoding: 'utf8',
        timeout: 60_000,
      });
      expect(home.stderr).toContain(`Store in ${directory} is in use by process`);
      await killed(owners.pop());
      owners.push(await started(spawn('unshare', [...apart, ...serve(directory)])));
    } finally {
      for (const owner of owners) await killed(owner);
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

/** Settles when the store says that it serves. */
async function started(child: ChildProcess): Promise<ChildProcess> {
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const said = child.stdout ? once(child.stdout, 'data') : Promise.reject(new Error('No output'));
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`It ended: ${errors}`)));
  await Promise.race([said, ended]);
  ended.catch(() => undefined);
  return child;
}

/** With `--kill-child` the store ends with the process that made its namespace. */
async function killed(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
}

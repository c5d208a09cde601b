import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { needs } from '../../support/probe.ts';

const script = join(import.meta.dirname, '../../support/left-behind.mjs');
const mark = `left-behind-${process.pid}`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-left-'));
  mkdirSync(join(folder, 'temporary'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function run(verb: string) {
  const env = { ...process.env, TMPDIR: join(folder, 'temporary') };
  return spawnSync(process.execPath, [script, verb, mark, join(folder, 'before')], { encoding: 'utf8', env });
}

needs('linux')('what a test run leaves behind', () => {
  test('is nothing where nothing has come', () => {
    run('look');
    const compared = run('compare');
    expect(compared.stdout).not.toMatch(/process|temporary/);
  });

  test('is a folder, and a process, which is ended', async () => {
    run('look');
    mkdirSync(join(folder, 'temporary/isthmus-forgotten'));
    const forgotten = spawn('sleep', ['600'], { env: { ISTHMUS_TEST_RUN: mark }, stdio: 'ignore' });
    const ended = once(forgotten, 'exit');
    // The environment is that of the command from its exec on.
    while (!execFileSync('cat', [`/proc/${forgotten.pid}/cmdline`], { encoding: 'utf8' }).startsWith('sleep'));
    const compared = run('compare');
    expect(compared.stdout).toContain(`left behind: process ${forgotten.pid}: sleep 600\n`);
    expect(compared.stdout).toContain('left behind: temporary isthmus-forgotten\n');
    expect(compared.status).toBe(1);
    expect(await ended).toEqual([null, 'SIGKILL']);
  });
});

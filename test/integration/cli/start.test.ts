import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { needs } from '../../support/probe.ts';

const script = join(import.meta.dirname, '../../../deploy/start.sh');
const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
const cure = 'apt-get install -y --no-install-recommends libbpf1';

let folder: string;
beforeEach(() => {
  // Where everybody may read it, under any umask; the script never gets beyond its first checks here.
  folder = mkdtempSync(join(tmpdir(), 'isthmus-start-'));
  chmodSync(folder, 0o755);
  for (const name of ['deploy', 'bin']) {
    mkdirSync(join(folder, name));
    chmodSync(join(folder, name), 0o755);
  }
  const copy = join(folder, 'deploy/start.sh');
  cpSync(script, copy);
  chmodSync(copy, 0o755);
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A command of this name that stands before the system's own. */
function fake(name: string, text: string): void {
  const command = join(folder, 'bin', name);
  writeFileSync(command, `#!/bin/sh\n${text}\n`);
  chmodSync(command, 0o755); // whatever the umask is
}

function start(words: readonly string[], within: readonly string[] = []) {
  const [command = '', ...args] = [...within, 'sh', join(folder, 'deploy/start.sh'), ...words];
  const run = spawnSync(command, args, {
    encoding: 'utf8',
    env: { PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}` },
  });
  return { status: run.status, stdout: run.stdout, lines: run.stderr.trim().split('\n') };
}

/** A mount namespace of its own, in which libbpf.so.1 is covered by a whiteout. */
function withoutLibbpf(): string[] {
  fake('ldconfig', 'exit 0');
  const hide = join(folder, 'hide');
  mkdirSync(hide);
  const script = `set -e
    umask 022
    mount -t tmpfs none ${hide}
    for lib in /usr/lib/$(uname -m)-linux-gnu; do
      mkdir ${hide}/upper ${hide}/work
      mknod ${hide}/upper/libbpf.so.1 c 0 0
      mount -t overlay overlay -o lowerdir=$lib,upperdir=${hide}/upper,workdir=${hide}/work $lib
    done
    exec "$@"`;
  return ['unshare', '-m', 'sh', '-c', script, 'sh'];
}

needs('root', 'netns')('npm start on a machine where something is missing', () => {
  test('without root says what needs it and what cures it, with exit code 2', () => {
    const { status, stdout, lines } = start(['--once'], nobody);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(lines).toEqual([
      "isthmus: network namespaces and eBPF need root: run 'sudo npm start' (or, without packets, 'npm start -- --kernel memory')",
    ]);
  });

  test('without root and without libbpf has one line for each', () => {
    fake('apt-get', 'exit 1');
    const { status, lines } = start(['--once'], [...withoutLibbpf(), ...nobody]);
    expect(status).toBe(2);
    expect(lines).toEqual([
      expect.stringContaining('need root'),
      `isthmus: libbpf.so.1 is missing: run 'sudo ${cure}'`,
    ]);
  });

  test('with --no-install prints the command instead of running it', () => {
    fake('apt-get', 'echo "must not run"; exit 1');
    const { status, stdout, lines } = start(['--no-install', '--once'], withoutLibbpf());
    expect({ status, stdout, lines }).toEqual({
      status: 2,
      stdout: '',
      lines: [`isthmus: libbpf.so.1 is missing: run '${cure}'`],
    });
  });

  test('as root prints the command, runs it, and fetches package lists when it fails at first', () => {
    fake('apt-get', 'echo "apt-get $*"; exit 1');
    const { status, stdout, lines } = start(['--once'], withoutLibbpf());
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(lines).toEqual([
      `isthmus: installing a system package: ${cure}`,
      cure,
      'isthmus: fetching package lists first: apt-get update',
      'apt-get update',
      `isthmus: apt failed (see above); once it works, run '${cure}'`,
    ]);
  });
});

test('npm start -- --help needs nothing installed and names its own options, too', () => {
  const { status, stdout } = spawnSync('sh', [script, '--help'], { encoding: 'utf8' });
  expect([status, stdout]).toEqual([0, expect.stringMatching(/Usage: isthmus lab run [\s\S]*--no-install /)]);
});

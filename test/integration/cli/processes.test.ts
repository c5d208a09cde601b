import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openEmbeddedEngine } from '../../../kvstore/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { needs } from '../../support/probe.ts';

const isthmus = join(import.meta.dirname, '../../../bin/isthmus');

let folder: string;
let children: ChildProcess[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-cli-'));
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

interface Running {
  readonly child: ChildProcess;
  /** What it said on standard output up to and with `pattern`. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  readonly exited: Promise<number | null>;
  readonly stderr: () => string;
}

function start(args: readonly string[], env: Record<string, string> = {}): Running {
  const child = spawn(isthmus, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  children.push(child);
  let stdout = '';
  let stderr = '';
  const looking = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const look of looking) look();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const said = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = pattern.exec(stdout);
        if (found) resolve(found);
      };
      looking.add(look);
      look();
      void exited.then(() => reject(new Error(`ended without saying ${pattern}: ${stderr}`)));
    });
  return { child, said, exited, stderr: () => stderr };
}

const serving = /on (127\.0\.0\.1:(\d+)),/;
const store = (directory: string, listen = '127.0.0.1:0', env: Record<string, string> = {}): Running =>
  start(['store', 'serve', '--data-dir', join(folder, directory), '--listen', listen], env);

describe('isthmus store serve', () => {
  test('serves until SIGTERM, and exits 0', async () => {
    const running = store('data');
    const [, address] = await running.said(serving);
    const version: unknown = await (await fetch(`http://${address}/version`)).json();
    expect(version).toMatchObject({ etcdserver: expect.stringMatching(/^3\./) });
    running.child.kill('SIGTERM');
    expect(await running.exited).toBe(0);
  });

  test('takes a second signal that comes at once for an echo of the first', async () => {
    const running = store('data');
    await running.said(serving);
    running.child.kill('SIGINT');
    running.child.kill('SIGINT');
    expect(await running.exited).toBe(0);
  });

  test('ends with its standard input when told to', async () => {
    const running = store('data', '127.0.0.1:0', { ISTHMUS_END_WITH_STDIN: '1' });
    await running.said(serving);
    running.child.stdin?.end();
    expect(await running.exited).toBe(0);
  });

  test('names the process that owns its directory, and exits 1', async () => {
    const first = store('data');
    await first.said(serving);
    const second = store('data');
    expect(await second.exited).toBe(1);
    expect(second.stderr()).toContain(`is in use by process ${first.child.pid}`);
  });

  test('names the port that is in use, and exits 1', async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port));
    });
    const running = store('data', `127.0.0.1:${port}`);
    expect(await running.exited).toBe(1);
    other.close();
    expect(running.stderr()).toContain(
      `Cannot listen on 127.0.0.1:${port}: the address is already in use by another process`,
    );
  });

  test('names the data directory that cannot be made, and exits 1', async () => {
    // Where Node's own mkdir would try for ever, deaf to SIGTERM.
    const running = start(['store', 'serve', '--data-dir', '/proc/isthmus-test', '--listen', '127.0.0.1:0']);
    expect(await running.exited).toBe(1);
    expect(running.stderr()).toContain('Cannot make the directory /proc/isthmus-test: ');
  });

  test('serves metrics, liveness and readiness where asked', async () => {
    const probe = createServer();
    const port = await new Promise<number>((resolve) => {
      probe.listen(0, '127.0.0.1', () => resolve((probe.address() as { port: number }).port));
    });
    await new Promise((resolve) => probe.close(resolve));
    const running = start([
      'store',
      'serve',
      '--data-dir',
      join(folder, 'data'),
      '--listen',
      '127.0.0.1:0',
      '--metrics-address',
      `127.0.0.1:${port}`,
    ]);
    await running.said(serving);
    const get = async (path: string): Promise<string> => await (await fetch(`http://127.0.0.1:${port}${path}`)).text();
    expect([await get('/healthz'), await get('/readyz')]).toEqual(['ok\n', 'ok\n']);
    expect(await get('/metrics')).toContain('process_resident_memory_bytes ');
  });
});

needs('root', 'libbpf')('isthmus agent', () => {
  test('says what it needs where it may not drive the kernel, and exits 2', async () => {
    const config = join(folder, 'store.yaml');
    await writeFile(config, 'endpoints: [http://127.0.0.1:1]\n');
    const own = ['--cluster-name=east', '--cluster-id=1', '--node-name=n', '--node-ip=192.0.2.1'];
    const files = [`--state-dir=${folder}/state`, `--api-socket=${folder}/run/agent.sock`, `--bpf-dir=${folder}/bpf`];
    const words = ['agent', ...own, ...files, '--store=etcd', `--store-config=${config}`];
    // Still root, with no right beyond those of an owner of files.
    const run = spawnSync('setpriv', ['--bounding-set=-all', '--inh-caps=-all', isthmus, ...words], {
      encoding: 'utf8',
    });
    expect([run.status, run.stdout]).toEqual([2, '']);
    expect(run.stderr).toMatch(
      /This process may not drive the kernel: .*: EPERM\n {2}run it as root, with CAP_NET_ADMIN/,
    );
  });
});

describe('bin/isthmus', () => {
  const run = (args: readonly string[], env: Record<string, string> = {}) =>
    spawnSync(isthmus, args, { encoding: 'utf8', env: { ...process.env, ...env } });

  test('finds its Node whatever the PATH says, and prints the version', () => {
    const { status, stdout } = run(['--version'], { PATH: '/usr/bin:/bin' });
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/^isthmus \d+\.\d+\.\d+\n$/) });
  });

  test('prints everything into a pipe whose reader is slow', async () => {
    const value = 'x'.repeat(1000);
    const engine = await openEmbeddedEngine({ directory: join(folder, 'data'), clock: systemClock, log: silentLogger });
    for (let i = 0; i < 500; i++)
      await engine.put({ key: Buffer.from(`key-${i}`), value: Buffer.from(value), lease: 0n });
    await engine[Symbol.asyncDispose]();
    const args = ['store', 'list', '--values', '--store', `embedded:${join(folder, 'data')}`, '-o', 'json'];
    const child = spawn(isthmus, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    // Nothing is read before it has had to wait, or has gone.
    await new Promise((resolve) => child.stdout.once('readable', resolve));
    const exited = new Promise((resolve) => child.once('exit', resolve));
    let text = '';
    for await (const chunk of child.stdout.setEncoding('utf8')) text += chunk;
    expect(await exited).toBe(0);
    expect(text.match(/key-/g)).toHaveLength(500);
  });

  test('has help for every command', () => {
    const pages = [
      ['--help'],
      ['store', '--help'],
      ['store', 'serve', '--help'],
      ['agent', '--help'],
      ['apiserver', '-h'],
    ];
    pages.push(['status', '--help'], ['get', '--help'], ['lab', '--help'], ['lab', 'run', '--help']);
    for (const page of pages) {
      const { status, stdout, stderr } = run(page);
      expect({ page, status, stderr }).toEqual({ page, status: 0, stderr: '' });
      expect(stdout).toContain('Usage: isthmus');
    }
  });
});

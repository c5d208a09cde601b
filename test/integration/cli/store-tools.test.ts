import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { type EtcdStore, openEtcdStore, toText } from '../../../kvstore/index.ts';
import { systemClock as clock } from '../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../runtime/log/index.ts';
import { consulVersion, startConsul } from '../../support/consul.ts';
import { etcdctl, startEtcd } from '../../support/etcd.ts';
import { needs } from '../../support/probe.ts';

jest.setTimeout(60_000);

const isthmus = join(import.meta.dirname, '../../../bin/isthmus');
let folder: string;
let stack: AsyncDisposableStack;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-tools-'));
  stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
});
afterEach(() => stack.disposeAsync());

interface Running {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly exited: Promise<number | null>;
}

function start(...args: readonly string[]): Running {
  const child = spawn(isthmus, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  stack.defer(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return { child, stdout: () => stdout, stderr: () => stderr, exited };
}

async function run(
  ...args: readonly string[]
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const running = start(...args);
  const code = await running.exited;
  return { code, stdout: running.stdout(), stderr: running.stderr() };
}

/** Waits for a process to say something; fails when it ends before. */
async function said({ child, stdout, stderr }: Running, pattern: RegExp): Promise<RegExpExecArray> {
  for (;;) {
    const found = pattern.exec(`${stdout()}\n${stderr()}`);
    if (found) return found;
    if (child.exitCode !== null) throw new Error(`Ended without saying ${pattern}: ${stdout()}${stderr()}`);
    await pause();
  }
}

function pause(ms = 10): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** An embedded store that a process of its own serves. */
async function served(
  name: string,
): Promise<{ readonly url: string; readonly store: EtcdStore; readonly running: Running }> {
  const running = start('store', 'serve', '--data-dir', join(folder, name), '--listen', '127.0.0.1:0');
  const [, address] = await said(running, /API on (127\.0\.0\.1:\d+),/);
  const url = `http://${address}`;
  return { url, store: client(url), running };
}

function client(url: string): EtcdStore {
  return stack.use(openEtcdStore({ endpoints: [url], clock, log }));
}

async function fill(store: EtcdStore, count: number): Promise<void> {
  const lease = await store.grantLease({ ttlSeconds: 60 });
  for (let from = 0; from < count; from += 100) {
    const then = Array.from({ length: 100 }, (_, i) => ({
      type: 'put' as const,
      key: `cilium/state/${String(from + i).padStart(4, '0')}`,
      value: `value ${from + i}`,
      ...(i % 3 === 0 ? { lease: lease.id } : {}),
    }));
    await store.transact({ when: [], then });
  }
}

/** Writes until it is stopped, a thousand times a second at most. */
function writeOn(store: EtcdStore): { stop(): Promise<number> } {
  let writes = 0;
  const stopping = new AbortController();
  const ended = (async () => {
    for (; !stopping.signal.aborted; writes++) {
      const key = `cilium/state/${String((writes * 37) % 700).padStart(4, '0')}`;
      if (writes % 7 === 0) await store.delete(key);
      else await store.put(key, `written ${writes}`);
      await pause(1);
    }
    return writes;
  })();
  return {
    stop: () => {
      stopping.abort();
      return ended;
    },
  };
}

describe('the tools of one store', () => {
  test('print what is there, as text and as JSON', async () => {
    const { url, store } = await served('a');
    await store.put('k/1', 'one');
    await store.put('k/2', new Uint8Array([0xff]));
    expect(await run('store', 'get', 'k/1', '--store', url)).toEqual({ code: 0, stdout: 'one\n', stderr: '' });
    expect(await run('store', 'get', 'k/9', '--store', url)).toMatchObject({ code: 1, stdout: '' });
    const listed = await run('store', 'list', 'k/', '--values', '-o', 'json', '--store', url);
    expect(JSON.parse(listed.stdout)).toEqual([
      { key: 'k/1', createRevision: 2, modRevision: 2, version: 1, lease: '0', value: 'one' },
      { key: 'k/2', createRevision: 3, modRevision: 3, version: 1, lease: '0', valueBase64: '/w==' },
    ]);
    const past = await run('store', 'list', '--revision', '2', '--limit', '5', '--store', url);
    expect(past.stdout.trimEnd().split('\n').at(-1)).toMatch(/^ +2 +- {2}k\/1$/);
    const open = await run('store', 'get', 'k/1', '--store', `embedded:${join(folder, 'a')}`);
    expect(open).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/in use by process \d+.*http:/s) });
    const status = await run('store', 'status', '-o', 'json', '--store', url);
    expect(JSON.parse(status.stdout)).toMatchObject({ kind: 'etcd', endpoint: url, revision: 3, keys: 2 });
  });

  test('watch prints each change as it happens, and ends in order', async () => {
    const { url, store } = await served('a');
    await store.put('k/before', '1');
    const watching = start('store', 'watch', 'k/', '-o', 'json', '--store', url);
    await said(watching, /Watching from revision/);
    await store.put('k/new', '2');
    await store.delete('k/before');
    await said(watching, /"delete"/);
    watching.child.kill('SIGINT');
    expect(await watching.exited).toBe(0);
    const lines = watching.stdout().trimEnd().split('\n');
    expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject([
      { type: 'put', key: 'k/new', value: '2' },
      { type: 'delete', key: 'k/before' },
    ]);
  });

  test('compact forgets what is older, by number or by what is to be kept', async () => {
    const { url, store } = await served('a');
    for (let i = 0; i < 10; i++) await store.put('k', `${i}`);
    expect(await run('store', 'compact', '--keep', '3', '--store', url)).toMatchObject({ code: 0 });
    await expect(store.get('k', { revision: 7 })).rejects.toThrow(/compacted/);
    expect(toText((await store.get('k', { revision: 8 }))?.value ?? new Uint8Array())).toBe('6');
    expect(await run('store', 'compact', '5', '--store', url)).toMatchObject({ code: 1, stdout: '' });
    const asJson = await run('store', 'compact', '--keep', '2', '-o', 'json', '--store', url);
    expect([asJson.code, JSON.parse(asJson.stdout)]).toEqual([0, { compactRevision: 9 }]);
    // As much is kept as was asked for.
    expect(await run('store', 'compact', '--keep', '2', '--store', url)).toMatchObject({ code: 0, stderr: '' });
    expect(await run('store', 'compact', '--keep', '5', '--store', url)).toMatchObject({ code: 0, stderr: '' });
    expect(await run('store', 'compact', '--store', url)).toMatchObject({ code: 2, stdout: '' });
    expect(await run('store', 'compact', 'five', '--store', url)).toMatchObject({ code: 2, stdout: '' });
  });

  test.each([
    { args: ['get', 'k', '--store', 'http://root:s3cret@127.0.0.1:1'], says: /--store: .*credentials/ },
    { args: ['copy', 'etcd:/none', 'embedded:x'], says: /Cannot read .*\/none/ },
    { args: ['check', 'x', 'y'], says: /^isthmus: A: "x" names no store/ },
    { args: ['status', '--store', 'consul'], says: /--store-config is required for consul/ },
  ])('store $args is a mistake of the caller', async ({ args, says }) => {
    const { code, stdout, stderr } = await run('store', ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(says);
    expect(stderr).not.toMatch(/s3cret/);
  });

  test('a configuration with a secret in a URL is refused by file and field', async () => {
    const file = join(folder, 'etcd.yaml');
    await writeFile(file, 'endpoints: ["http://root:s3cret@127.0.0.1:2379"]\n');
    const { code, stderr } = await run('store', 'status', '--store', `etcd:${file}`);
    expect(code).toBe(2);
    expect(stderr).toContain(`${file}: endpoints: `);
    expect(stderr).not.toContain('s3cret');
  });

  test('a snapshot of a store that is being written comes back whole, as another store', async () => {
    const { url, store, running } = await served('a');
    await fill(store, 700);
    const writing = writeOn(store);
    const file = join(folder, 'snapshot');
    const taken = await run('store', 'snapshot', file, '-o', 'json', '--store', url);
    await writing.stop();
    expect(taken).toMatchObject({ code: 0 });
    const { revision } = JSON.parse(taken.stdout) as { readonly revision: number };
    const directory = join(folder, 'b');
    const restored = await run('store', 'restore', file, '--data-dir', directory, '-o', 'json');
    expect(restored).toMatchObject({ code: 0, stderr: '' });
    const facts = JSON.parse(restored.stdout) as { readonly revision: number; readonly storeId: string };
    expect(facts.revision).toBeGreaterThan(store.health().revision);
    expect(facts.storeId).not.toBe(store.health().storeId);

    const wanted = new Map<string, string>();
    for await (const { entries } of store.list('', { revision }))
      for (const { key, value } of entries) wanted.set(toText(key), toText(value));
    running.child.kill('SIGTERM');
    expect(await running.exited).toBe(0);
    const found = new Map<string, string>();
    const { store: other } = await served('b');
    for await (const { entries } of other.list(''))
      for (const { key, value } of entries) found.set(toText(key), toText(value));
    expect(found).toEqual(wanted);
    expect(await run('store', 'restore', file, '--data-dir', directory)).toMatchObject({ code: 2 });
  });
});

const describeIf = needs('etcd');

describeIf('moving a store', () => {
  test('into itself under another address is refused, and leaves nothing there', async () => {
    const { url, store } = await served('itself');
    await store.put('a', '1');
    const other = url.replace('127.0.0.1', 'localhost');
    expect(await run('store', 'copy', url, other, '--once')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('A and B are the same store'),
    });
    // Nor does a store that equals itself say anything of two.
    expect(await run('store', 'check', url, other)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('A and B are the same store'),
    });
    expect((await run('store', 'list', '--store', url)).stdout.trim().split('\n')).toHaveLength(2);
  });

  test('from one that holds nothing into one that holds something is refused', async () => {
    const { url, store } = await served('b');
    await store.put('k', '1');
    const empty = await served('a');
    // What an earlier copy into it says of itself is not copied.
    await empty.store.put('isthmus/v1/copies/2a', '{"from":"elsewhere"}');
    for (const words of [[], ['--overwrite']])
      expect(await run('store', 'copy', empty.url, url, '--once', ...words)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('A holds nothing'),
      });
    expect(await store.get('k')).toBeDefined();
  });

  test('under leases that end at once is a mistake of the caller', async () => {
    const { url } = await served('a');
    const copied = await run('store', 'copy', url, `embedded:${join(folder, 'b')}`, '--lease-ttl', '0s');
    expect(copied).toMatchObject({ code: 2, stderr: expect.stringContaining('--lease-ttl') });
  });

  test('from embedded to real etcd and back while it is written leaves no difference', async () => {
    const { url, store } = await served('a');
    await using etcd = await startEtcd();
    const config = join(folder, 'etcd.yaml');
    await writeFile(config, `endpoints: [${etcd.endpoint}]\n`);
    await fill(store, 700);
    const writing = writeOn(store);
    const copying = start('store', 'copy', url, `etcd:${config}`);
    await said(copying, /In step at revision/);
    await pause(300);
    expect(await writing.stop()).toBeGreaterThan(0);
    expect(await run('store', 'check', url, `etcd:${config}`)).toMatchObject({ code: 0, stderr: '' });
    copying.child.kill('SIGINT');
    expect(await copying.exited).toBe(0);

    const moved = client(etcd.endpoint);
    await moved.put('cilium/state/0001', 'changed');
    await moved.delete('cilium/state/0002');
    await moved.put('cilium/state/new', '1');
    const differing = await run('store', 'check', url, etcd.endpoint, '--settle', '0s');
    expect(differing.code).toBe(1);
    expect(differing.stdout.split('\n').slice(0, -1)).toEqual([
      'different  cilium/state/0001',
      'only in A  cilium/state/0002',
      'only in B  cilium/state/new',
      expect.stringMatching(/^3 differences; \d+ keys in A, \d+ in B$/),
    ]);
    const back = await run('store', 'copy', etcd.endpoint, url, '--once', '--overwrite');
    expect(back).toMatchObject({ code: 0, stderr: '' });
    expect(await run('store', 'check', url, etcd.endpoint)).toMatchObject({ code: 0, stderr: '' });
  });

  test('compact and defragment a real etcd, and say what is compacted', async () => {
    await using etcd = await startEtcd();
    const store = client(etcd.endpoint);
    for (const value of ['1', '2', '3']) await store.put('a', value);
    const at = ['--store', etcd.endpoint];
    expect(await run('store', 'compact', '3', ...at)).toMatchObject({ code: 0, stderr: '' });
    expect(await run('store', 'compact', '3', ...at)).toMatchObject({
      code: 1,
      stderr: 'isthmus: Cannot compact to revision 3: revisions before 3 are compacted\n',
    });
    expect(await run('store', 'get', 'a', '--revision', '2', ...at)).toMatchObject({
      code: 1,
      stderr: 'isthmus: Cannot read "a": revisions before 3 are compacted\n',
    });
    expect(await run('store', 'get', 'a', '--revision', '3', ...at)).toMatchObject({ code: 0, stdout: '2\n' });
    // etcd's answer has no header.
    expect(await run('store', 'defrag', ...at)).toMatchObject({ code: 0, stderr: '' });
    const { stdout } = await run('store', 'defrag', '-o', 'json', ...at);
    expect(JSON.parse(stdout)).toEqual({ sizeBytesBefore: expect.any(Number), sizeBytes: expect.any(Number) });
  });

  test('a defragmentation that follows a compaction finds the pages of the history free', async () => {
    await using etcd = await startEtcd();
    const store = client(etcd.endpoint);
    const value = new Uint8Array(2_000);
    for (let i = 0; i < 200; i++)
      await store.transact({
        when: [],
        then: Array.from({ length: 128 }, (_, n) => ({ type: 'put', key: `k/${n}`, value })),
      });
    await store.compact(store.health().revision);
    const sizes = async (): Promise<number> => (await store.status()).dbSizeInUse;
    // 256 KB are stored, 51 MB are history; etcd takes it out a thousand keys at a time, with pauses.
    expect(await sizes()).toBeLessThan(5_000_000);
    await store.defragment();
    expect((await store.status()).dbSize).toBeLessThan(5_000_000);
  });

  test('serve who may read a part only, and name what may not be read', async () => {
    await using etcd = await startEtcd();
    const direct = client(etcd.endpoint);
    await direct.put('mine/a', '1');
    await direct.put('other/a', '1');
    for (const step of [
      'user add root:root',
      'user grant-role root root',
      'user add reader:hunter2',
      'role add part',
      'role grant-permission part read --prefix mine/',
      'user grant-role reader part',
      'auth enable',
    ])
      expect((await etcdctl(etcd.endpoint, step.split(' '))).code).toBe(0);
    const named = async (name: string, password: string, endpoint = etcd.endpoint): Promise<string> => {
      const file = join(folder, `${name}.yaml`);
      await writeFile(file, `endpoints: [${endpoint}]\nusername: reader\npassword: ${password}\n`);
      return `etcd:${file}`;
    };
    const reader = await named('reader', 'hunter2');
    const status = await run('store', 'status', '--store', reader, '-o', 'json');
    expect(JSON.parse(status.stdout)).toMatchObject({ notCounted: expect.stringContaining('permission denied') });
    const copied = `embedded:${join(folder, 'part')}`;
    expect(await run('store', 'copy', reader, copied, '--once', '--prefix', 'mine/')).toMatchObject({ code: 0 });
    expect(await run('store', 'check', reader, copied, '--prefix', 'mine/')).toMatchObject({
      code: 0,
      stdout: '0 differences; 1 keys in A, 1 in B\n',
    });
    const again = await named('again', 'hunter2', etcd.endpoint.replace('127.0.0.1', 'localhost'));
    expect(await run('store', 'check', reader, again, '--prefix', 'mine/')).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/A and B have the same id, .*cannot be told without the right to write/s),
    });
    expect(await run('store', 'check', reader, copied)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Cannot list "": etcdserver: permission denied'),
    });
    expect(await run('store', 'snapshot', join(folder, 'no'), '--store', reader)).toMatchObject({ code: 1 });
    const watching = start('store', 'watch', 'mine/', '--store', reader);
    await said(watching, /Watching from revision/);
    const wrong = await run('store', 'status', '--store', await named('wrong', 'not-hunter2'));
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('Cannot log in') });
    expect(wrong.stderr).not.toContain('hunter2');
  });

  test('an apiserver publishes into an etcd that is there, and serves nothing itself', async () => {
    await using etcd = await startEtcd();
    const config = join(folder, 'etcd.yaml');
    await writeFile(config, `endpoints: [${etcd.endpoint}]\n`);
    const common = ['--cluster-name', 'east', '--cluster-id', '1', '--source', `manifests:${folder}`];
    const running = start('apiserver', ...common, '--store', 'etcd', '--store-config', config);
    await said(running, /Publishing east into etcd:/);
    const store = client(etcd.endpoint);
    while (!(await store.get('cilium/cluster-config/east'))) await pause();
    expect(running.stderr()).not.toMatch(/Serving the etcd API/);
    running.child.kill('SIGTERM');
    expect(await running.exited).toBe(0);
    expect(await run('apiserver', ...common, '--store-config', config)).toMatchObject({ code: 2 });
    expect(await run('apiserver', ...common, '--store', 'etcd')).toMatchObject({ code: 2 });
  });
});

needs('consul')('Tools on a Consul', () => {
  test('list, watch, tell, copy and compare it, and say what it cannot do', async () => {
    const server = stack.use(await startConsul());
    const file = join(folder, 'consul.yaml');
    await writeFile(file, `addresses: ["${server.endpoint}"]\n`);
    const named = `consul:${file}`;
    for (const i of [1, 2, 3]) await server.call('PUT', `/v1/kv/k/${i}`, `${i}`);
    expect(await run('store', 'get', 'k/2', '--store', named)).toMatchObject({ code: 0, stdout: '2\n' });
    const status = await run('store', 'status', '--store', named, '-o', 'json');
    expect([status.code, JSON.parse(status.stdout)]).toEqual([
      0,
      expect.objectContaining({ kind: 'consul', version: consulVersion, keys: 3 }),
    ]);
    const watching = start('store', 'watch', 'k/', '--store', 'consul', '--store-config', file, '-o', 'json');
    await said(watching, /Watching from revision/);
    await server.call('PUT', '/v1/kv/k/4', '4');
    await said(watching, /k\/4/);
    watching.child.kill('SIGINT');
    expect(await watching.exited).toBe(0);
    const directory = `embedded:${join(folder, 'copied')}`;
    expect(await run('store', 'copy', named, directory, '--once')).toMatchObject({ code: 0 });
    expect(await run('store', 'check', named, directory)).toMatchObject({
      code: 0,
      stdout: '0 differences; 4 keys in A, 4 in B\n',
    });
    await server.call('PUT', '/v1/kv/k/1', 'another');
    const checked = await run('store', 'check', named, directory, '--settle', '0');
    expect(checked).toMatchObject({ code: 1, stdout: expect.stringContaining('different  k/1') });
    const snapshot = join(folder, 'snapshot');
    expect(await run('store', 'snapshot', snapshot, '--store', named)).toMatchObject({ code: 0 });
    const restored = join(folder, 'restored');
    expect(await run('store', 'restore', snapshot, '--data-dir', restored)).toMatchObject({ code: 0 });
    expect(await run('store', 'check', named, `embedded:${restored}`)).toMatchObject({ code: 0 });
    for (const words of [['compact', '5'], ['defrag']])
      expect(await run('store', ...words, '--store', named)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('Consul'),
      });
  });

  test('are refused an address with a secret, by file and field', async () => {
    const file = join(folder, 'consul.yaml');
    await writeFile(file, 'addresses: ["http://user:s3cret@127.0.0.1:8500"]\n');
    const { code, stderr } = await run('store', 'status', '--store', `consul:${file}`);
    expect([code, stderr]).toEqual([2, expect.stringContaining(`${file}: addresses: `)]);
    expect(stderr).not.toContain('s3cret');
  });
});

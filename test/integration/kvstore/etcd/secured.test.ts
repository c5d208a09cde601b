import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, jest, test } from '@jest/globals';
import { PermissionDeniedError, type Store, StoreReplacedError, openStore } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { builtBinary } from '../../../support/built-binary.ts';
import { etcdBinary, etcdctl, freePort, startEtcd } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { startTcpProxy } from '../../../support/tcp-proxy.ts';
import { Mirror } from './mirror.ts';
import { clientOf } from './subjects.ts';

jest.setTimeout(60_000);

const prefix = 'cilium/state/';

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Error) return error;
  throw new Error('It did not fail');
}

needs('etcd')('the etcd client', () => {
  beforeAll(() => builtBinary(etcdBinary), 600_000);

  test('logs in, and again when its token has expired or the server has forgotten it', async () => {
    await using etcd = await startEtcd({ flags: ['--auth-token-ttl=4'] });
    await secure(etcd.endpoint);
    const login = { username: 'reader', password: 'hunter2' };
    await using root = clientOf(etcd, { username: 'root', password: 'root' });
    await using reader = clientOf(etcd, login);
    await root.put(`${prefix}stable/1`, '1');
    await using mirror = new Mirror(reader, prefix);
    await mirror.agreesWith(root, prefix);
    await new Promise((resolve) => setTimeout(resolve, 6000));
    // The very first that the server hears of the token that it has dropped is a watch; then a read.
    await using later = new Mirror(reader, prefix);
    await later.agreesWith(root, prefix);
    await later.until(() => reader.health().reconnections === 0);
    expect((await reader.get(`${prefix}stable/1`))?.version).toBe(1);
    await etcd.restart();
    expect((await reader.get(`${prefix}stable/1`))?.version).toBe(1);
    await putEventually(root, `${prefix}new`);
    await mirror.agreesWith(root, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
  });

  test('goes on with a password that was changed, there and in its file', async () => {
    await using etcd = await startEtcd({ flags: ['--auth-token-ttl=2'] });
    await secure(etcd.endpoint);
    await using root = clientOf(etcd, { username: 'root', password: 'root' });
    await root.put(`${prefix}1`, '1');
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-password-'));
    try {
      const configFile = join(folder, 'etcd.yaml');
      const write = (username: string, password: string): void =>
        writeFileSync(configFile, JSON.stringify({ endpoints: [etcd.endpoint], username, password }));
      write('reader', 'hunter2');
      await using opened = await openStore({ kind: 'etcd', configFile }, { clock: systemClock, log: silentLogger });
      const { store } = opened;
      expect((await store.get(`${prefix}1`))?.version).toBe(1);
      const change = ['--user=root:root', 'user', 'passwd', 'reader', '--interactive=false'];
      expect((await etcdctl(etcd.endpoint, change, 'hunter3\n')).code).toBe(0);
      // Tokens of before are refused since then.
      const refused = await failureOf(store.get(`${prefix}1`));
      expect(refused).toBeInstanceOf(PermissionDeniedError);
      write('root', 'root');
      expect(await failureOf(store.get(`${prefix}1`))).toBeInstanceOf(PermissionDeniedError);
      writeFileSync(configFile, '{');
      expect(await failureOf(store.get(`${prefix}1`))).toBeInstanceOf(PermissionDeniedError);
      write('reader', 'hunter3');
      expect((await store.get(`${prefix}1`))?.version).toBe(1);
      await etcd.restart();
      expect((await store.get(`${prefix}1`))?.version).toBe(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('calls a refusal by its name, and repeats no password', async () => {
    await using etcd = await startEtcd();
    await secure(etcd.endpoint);
    await using stranger = clientOf(etcd, { username: 'reader', password: 'wrong-hunter2' });
    await using nobody = clientOf(etcd);
    await using reader = clientOf(etcd, { username: 'reader', password: 'hunter2' });
    const refusals = [
      await failureOf(stranger.get(`${prefix}1`)),
      await failureOf(nobody.get(`${prefix}1`)),
      await failureOf(reader.get('elsewhere')),
      await failureOf(reader.put(`${prefix}1`, 'x')),
    ];
    for (const refusal of refusals) {
      expect(refusal).toBeInstanceOf(PermissionDeniedError);
      expect(`${refusal.message}${refusal.stack}${String(refusal.cause)}`).not.toContain('hunter2');
    }
    // What may not be read is not empty: following it fails.
    await using forbidden = new Mirror(reader, 'elsewhere/');
    await forbidden.until(() => forbidden.error !== undefined).catch(() => undefined);
    expect(forbidden.error).toBeInstanceOf(PermissionDeniedError);
    expect(forbidden.marks).not.toContain('synced');
  });

  test('refuses another store than the one it began with, where its id is pinned', async () => {
    await using first = await startEtcd();
    await using second = await startEtcd({ flags: ['--initial-cluster-token=another'] });
    await using toFirst = await startTcpProxy(first);
    await using store = clientOf({ host: '127.0.0.1', port: toFirst.port }, { pinStoreId: true });
    await using free = clientOf({ host: '127.0.0.1', port: toFirst.port });
    await store.put('a', '1');
    await free.put('a', '1');
    toFirst.redirect(second);
    toFirst.cut();
    const refused = await failureOf(store.get('a'));
    expect(refused).toBeInstanceOf(StoreReplacedError);
    expect(await failureOf(store.put('a', '2'))).toBe(refused);
    expect(await free.get('a')).toBeUndefined();
  });

  test('goes to the next endpoint when one is dead', async () => {
    await using etcd = await startEtcd();
    const dead = await freePort();
    await using store = clientOf(etcd, {
      endpoints: [`http://127.0.0.1:${dead}`, etcd.endpoint],
      random: () => 0.99,
    });
    expect((await store.put('a', '1')).revision).toBe(2);
    expect(store.health().endpoint).toBe(etcd.endpoint);
  });

  test('says which endpoint cannot be reached, and why', async () => {
    const port = await freePort();
    await using store = clientOf({ host: '127.0.0.1', port }, { callTimeoutMs: 300 });
    const error = await failureOf(store.get('a'));
    expect(error.message).toContain(`http://127.0.0.1:${port}`);
    expect(error.message).toContain('nobody listens there');
    expect(store.health()).toMatchObject({ connected: false, endpoint: `http://127.0.0.1:${port}` });
  });

  test('speaks TLS to whom it trusts, and reads a certificate that comes later', async () => {
    await using server = await startTlsEtcd();
    const endpoints = [`https://127.0.0.1:${server.port}`];
    const later = join(server.directory, 'later.crt');
    await using store = clientOf(server, { endpoints, tls: { trustedCaFile: server.certificate } });
    await using stranger = clientOf(server, { endpoints, callTimeoutMs: 1000 });
    await using early = clientOf(server, { endpoints, tls: { trustedCaFile: later }, callTimeoutMs: 4000 });
    await using plain = clientOf(server, { callTimeoutMs: 1000 });
    expect((await store.put('a', '1')).revision).toBe(2);
    expect((await failureOf(stranger.get('a'))).message).toMatch(/self.signed/);
    expect((await failureOf(early.get('a'))).message).toContain(later);
    expect((await failureOf(plain.get('a'))).message).toContain('Cannot reach store');
    cpSync(server.certificate, later);
    expect((await early.get('a'))?.version).toBe(1);
  });
});

async function putEventually(store: Store, key: string): Promise<void> {
  await store.get(key);
  await store.put(key, '1');
}

async function secure(endpoint: string): Promise<void> {
  const steps = [
    ['user', 'add', 'root:root'],
    ['user', 'grant-role', 'root', 'root'],
    ['role', 'add', 'mesh'],
    ['role', 'grant-permission', 'mesh', 'read', '--prefix', prefix],
    ['user', 'add', 'reader:hunter2'],
    ['user', 'grant-role', 'reader', 'mesh'],
    ['auth', 'enable'],
  ];
  for (const step of steps) {
    const { code, stderr } = await etcdctl(endpoint, step);
    if (code !== 0) throw new Error(`etcdctl ${step.join(' ')}: ${stderr}`);
  }
}

interface TlsEtcd extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly directory: string;
  /** Signed by itself, so it is its own authority. */
  readonly certificate: string;
}

/** An etcd that makes itself a certificate. */
async function startTlsEtcd(): Promise<TlsEtcd> {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-tls-'));
  const port = await freePort();
  const url = `https://127.0.0.1:${port}`;
  const flags = [
    '--name=t',
    `--data-dir=${join(directory, 'data')}`,
    '--log-level=error',
    '--auto-tls',
    '--unsafe-no-fsync',
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    '--listen-peer-urls=http://127.0.0.1:0',
    '--initial-advertise-peer-urls=http://127.0.0.1:1',
    '--initial-cluster=t=http://127.0.0.1:1',
  ];
  const child: ChildProcess = spawn(await builtBinary(etcdBinary), flags, { stdio: 'ignore' });
  const atExit = (): void => void child.kill('SIGKILL');
  process.once('exit', atExit);
  const target = { host: '127.0.0.1', port };
  await using probe = clientOf(target, {
    endpoints: [url],
    tls: { insecureSkipVerify: true },
    callTimeoutMs: 30_000,
  });
  await probe.get('ready');
  return {
    ...target,
    directory,
    certificate: join(directory, 'data/fixtures/client/cert.pem'),
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
      process.off('exit', atExit);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import type { ConsulStore } from '../../../kvstore/index.ts';
import { startConsul } from '../../support/consul.ts';
import { etcdctl, freePort, spawnEtcdctl } from '../../support/etcd.ts';
import { needs } from '../../support/probe.ts';
import { until } from '../../support/until.ts';
import { clientOf } from '../kvstore/consul/support.ts';

jest.setTimeout(180_000);

const isthmus = join(import.meta.dirname, '../../../bin/isthmus');

/** A client of the mirror that follows `cilium/state/`. */
interface Watcher {
  readonly flags: readonly string[];
  readonly process: ChildProcess;
  said: string;
  ended: boolean;
}

needs('consul', 'etcd')('The mirror of a Consul, for peers with certificates', () => {
  const stack = new AsyncDisposableStack();
  let folder: string;
  let mirror: string;
  let store: ConsulStore;

  const run = (...args: readonly string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const child = spawn(isthmus, [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
      const text = { stdout: '', stderr: '' };
      for (const name of ['stdout', 'stderr'] as const)
        child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk));
      child.once('close', (code) =>
        code === 0 ? resolve(text.stdout) : reject(new Error(`${args.join(' ')}: ${code}: ${text.stderr}`)),
      );
    });
  const peer = (...args: readonly string[]): Promise<string> =>
    run('peer', ...args, '--peer-dir', join(folder, 'peers'));

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-mirror-users-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const consul = stack.use(await startConsul());
    store = stack.use(clientOf(consul));
    mirror = `https://127.0.0.1:${await freePort()}`;
    await writeFile(join(folder, 'consul.yaml'), `addresses: ["${consul.endpoint}"]\n`);
    await mkdir(join(folder, 'manifests'));
    const who = ['--cluster-name', 'east', '--cluster-id', '1'];
    await peer('init', ...who, '--endpoint', mirror);
    const child = spawn(
      isthmus,
      ['apiserver', ...who, '--source', `manifests:${folder}/manifests`, '--peer-dir', join(folder, 'peers')].concat(
        ['--store', 'consul', '--store-config', join(folder, 'consul.yaml')],
        ['--mirror-listen', mirror.slice('https://'.length), '--api-socket', join(folder, 'apiserver.sock')],
      ),
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    stack.defer(() => void child.kill('SIGKILL'));
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    await until(() => {
      if (child.exitCode !== null) throw new Error(`The apiserver has ended: ${said}`);
      return said.includes('Serving a read-only mirror');
    });
  }, 600_000);
  afterAll(() => stack.disposeAsync());

  /** Follows with these files, once it is known that the watch stands. */
  async function follow(files: { readonly ca: string; readonly cert: string; readonly key: string }): Promise<Watcher> {
    const flags = ['--cacert', files.ca, '--cert', files.cert, '--key', files.key];
    const child = await spawnEtcdctl(mirror, [...flags, 'watch', '--prefix', 'cilium/state/']);
    stack.defer(() => void child.kill('SIGKILL'));
    const watcher: Watcher = { flags, process: child, said: '', ended: false };
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (watcher.said += text));
    child.once('close', () => (watcher.ended = true));
    return watcher;
  }
  const isOut = ({ said, ended }: Watcher): boolean => ended || said.includes('permission denied');
  const ask = (flags: readonly string[]): ReturnType<typeof etcdctl> =>
    etcdctl(mirror, [...flags, 'get', 'cilium/cluster-config/east']);

  test('ends what a revoked certificate has open, and what a peer that left has, and nothing else', async () => {
    const own = join(folder, 'peers/certificates');
    await peer('issue', 'agent-n1');
    await cp(join(own, 'agent-n1'), join(folder, 'stolen'), { recursive: true });
    const filesIn = (path: string) => ({
      ca: join(path, 'ca.crt'),
      cert: join(path, 'tls.crt'),
      key: join(path, 'tls.key'),
    });
    await peer('invite', 'west', '--id', '2', '--for', 'cilium', '--out', join(folder, 'west.yaml'));
    await mkdir(join(folder, 'west'));
    const secrets = parseAllDocuments(await readFile(join(folder, 'west.yaml'), 'utf8'))
      .map((document) => document.toJS() as { readonly data?: Readonly<Record<string, string>> } | null)
      .flatMap((secret) => Object.entries(secret?.data ?? {}));
    for (const [name, to] of [
      ['east.etcd-client-ca.crt', 'ca.crt'],
      ['east.etcd-client.crt', 'tls.crt'],
      ['east.etcd-client.key', 'tls.key'],
    ] as const) {
      const [, value = ''] = secrets.find(([key]) => key === name) ?? [];
      await writeFile(join(folder, 'west', to), Buffer.from(value, 'base64'));
    }
    const watchers = {
      stolen: await follow(filesIn(join(folder, 'stolen'))),
      west: await follow(filesIn(join(folder, 'west'))),
      admin: await follow(filesIn(join(own, 'admin'))),
    };
    // Users are read every two seconds: until then a new peer is nobody.
    for (const { flags } of Object.values(watchers)) await until(async () => (await ask(flags)).code === 0);
    const west = await follow(filesIn(join(folder, 'west')));
    /** Writes until these have seen it, so that it is known that their watches stand. */
    const told = async (value: string, ...all: readonly Watcher[]): Promise<void> =>
      await until(async () => {
        await store.put('cilium/state/nodes/v1/east/n1', value);
        return all.every(({ said }) => said.includes(value));
      });
    await told('first', watchers.stolen, west, watchers.admin);

    await peer('revoke', 'agent-n1');
    await until(() => isOut(watchers.stolen));
    expect((await ask(watchers.stolen.flags)).stderr).toContain('permission denied');
    await told('second', west, watchers.admin);
    expect(watchers.stolen.said).not.toContain('second');

    await peer('leave', 'west', '--dead');
    await until(() => isOut(west));
    expect((await ask(west.flags)).stderr).toContain('permission denied');
    await told('third', watchers.admin);
    expect(west.said).not.toContain('third');
    expect((await ask(watchers.admin.flags)).code).toBe(0);
    const status = JSON.parse(await run('status', '--api-socket', join(folder, 'apiserver.sock'), '-o', 'json')) as [
      { readonly status: { readonly certificates: { readonly revocation: unknown } } },
    ];
    expect(status[0].status.certificates.revocation).toEqual({ withinSeconds: 5 });
  });
});

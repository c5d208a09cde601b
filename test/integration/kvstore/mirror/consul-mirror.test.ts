import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type ConsulStore, openEtcdStore } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { type ConsulProcess, startConsul } from '../../../support/consul.ts';
import { etcdctl, freePort } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { clientOf } from '../consul/support.ts';
import { Mirror, writeMany } from '../etcd/mirror.ts';

jest.setTimeout(120_000);

const binary = fileURLToPath(new URL('../../../../bin/isthmus', import.meta.url));

needs('consul', 'etcd')('An apiserver whose store is Consul, with --mirror-listen', () => {
  let server: ConsulProcess;
  let store: ConsulStore;
  let directory: string;
  let port: number;
  let apiserver: ChildProcess;
  let said = '';

  const start = (): void => {
    said = '';
    apiserver = spawn(
      binary,
      [
        'apiserver',
        '--cluster-name',
        'east',
        '--cluster-id',
        '1',
        '--source',
        `manifests:${directory}/manifests`,
        '--store',
        'consul',
        '--store-config',
        `${directory}/consul.yaml`,
        '--mirror-listen',
        `127.0.0.1:${port}`,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    apiserver.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  };
  const stop = async (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    apiserver.once('close', () => resolve());
    if (apiserver.exitCode === null) apiserver.kill('SIGTERM');
    else resolve();
    await promise;
  };
  const serving = async (): Promise<void> => {
    const deadline = performance.now() + 60_000;
    while (!said.includes('Serving a read-only mirror')) {
      if (performance.now() > deadline || apiserver.exitCode !== null) throw new Error(`No mirror: ${said}`);
      await systemClock.sleep(50);
    }
  };
  const endpoint = (): string => `http://127.0.0.1:${port}`;

  beforeAll(async () => {
    server = await startConsul();
    store = clientOf(server);
    port = await freePort();
    directory = await mkdtemp(join(tmpdir(), 'isthmus-mirror-'));
    await writeFile(`${directory}/consul.yaml`, `addresses: ["${server.endpoint}"]\n`);
    await mkdir(`${directory}/manifests`);
    await writeMany(store, 'cilium/state/ip/v1/default/', 200);
    start();
    await serving();
  }, 600_000);
  afterAll(async () => {
    await stop();
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  test('serves etcdctl what peers of a cluster read, its heartbeat included', async () => {
    const listed = await etcdctl(endpoint(), ['get', '--prefix', '--keys-only', 'cilium/state/ip/v1/']);
    expect(listed.stdout.split('\n').filter((line) => line !== '')).toHaveLength(200);
    const config = await etcdctl(endpoint(), ['get', '--print-value-only', 'cilium/cluster-config/east']);
    expect(JSON.parse(config.stdout)).toMatchObject({ id: 1 });
    const beat = async (): Promise<string> => (await etcdctl(endpoint(), ['get', 'cilium/.heartbeat'])).stdout;
    const deadline = performance.now() + 30_000;
    while ((await beat()) === '' && performance.now() < deadline) await systemClock.sleep(50);
    expect(await beat()).toContain('cilium/.heartbeat');
    const own = await etcdctl(endpoint(), ['get', '--prefix', '--keys-only', 'isthmus/']);
    expect(own.stdout.trim()).toBe('');
  });

  test('refuses etcdctl every write', async () => {
    for (const words of [
      ['put', 'cilium/x', 'y'],
      ['del', '--prefix', 'cilium/'],
      ['lease', 'grant', '60'],
    ]) {
      const { code, stderr } = await etcdctl(endpoint(), words);
      expect([code, stderr]).toEqual([1, expect.stringContaining('permission denied')]);
    }
  });

  test('keeps a reader in step, also over its own restart, without a record lost or removed for nothing', async () => {
    await using reader = openEtcdStore({
      endpoints: [endpoint()],
      clock: systemClock,
      log: silentLogger,
    });
    await using mirror = new Mirror(reader, 'cilium/state/');
    await mirror.until(() => mirror.watch.synced);
    await store.put('cilium/state/stable/a', '1');
    await mirror.until(() => mirror.state.get('stable/a')?.startsWith('1@') === true);
    await stop();
    await store.put('cilium/state/stable/a', '2');
    await store.delete('cilium/state/ip/v1/default/7');
    start();
    await serving();
    await mirror.until(() => mirror.state.get('stable/a')?.startsWith('2@') === true, 60_000);
    await mirror.until(() => mirror.watch.synced && !mirror.state.has('ip/v1/default/7'), 60_000);
    expect(mirror.problems).toEqual([]);
    expect(mirror.marks.at(-1)).toBe('synced');
    expect(['store-replaced', 'compacted']).toContain(mirror.marks.at(-2));
    expect(mirror.state.size).toBe(200);
  });
});

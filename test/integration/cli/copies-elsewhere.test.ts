import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { RemoteClusterStatus } from '../../../clustermesh/index.ts';
import { systemClock as clock } from '../../../runtime/clock/index.ts';
import { callUnixApi } from '../../../runtime/serve/index.ts';
import { until } from '../../support/until.ts';

jest.setTimeout(120_000);

const isthmus = join(import.meta.dirname, '../../../bin/isthmus');
const east = ['--cluster-name=east', '--cluster-id=200'];

let folder: string;
let stack: AsyncDisposableStack;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-copies-'));
  stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
});
afterEach(() => stack.disposeAsync());

/** Starts a process and waits until it says on standard output what the pattern finds. Gives its group. */
async function started(args: readonly string[], pattern: RegExp): Promise<{ found: string; child: ChildProcess }> {
  const child = spawn(isthmus, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise((resolve) => child.once('close', resolve));
  stack.defer(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
  let found: RegExpExecArray | null = null;
  await until(
    () => {
      if (child.exitCode !== null) throw new Error(`${args[0]} has ended: ${said.err}`);
      found = pattern.exec(said.out);
      return found !== null;
    },
    () => clock.sleep(20),
  );
  return { found: found?.[1] ?? '', child };
}

test('an agent that reads copies in the kvstoremesh’s own store does not call a dead remote ready', async () => {
  const at = (name: string): string => join(folder, name);
  for (const name of ['remotes', 'copies', 'manifests']) await mkdir(at(name));
  await writeFile(
    at('manifests/node.yaml'),
    '{apiVersion: v1, kind: Node, metadata: {name: n1}, spec: {podCIDRs: [10.99.0.0/24]}}',
  );
  const shape = ['--clusters=1', '--nodes=2', '--endpoints=5', '--identities=2', '--services=1', '--churn=0'];
  const remote = await started(['mock', '--layout=state', ...shape, `--config-dir=${at('remotes')}`], /at (http\S+)/);
  const mesh = await started(
    [
      'kvstoremesh',
      ...east,
      '--store=embedded',
      `--data-dir=${at('mesh')}`,
      '--listen=127.0.0.1:0',
      '--enable-heartbeat',
      '--api-serve-addr=127.0.0.1:0',
      `--clustermesh-config=${at('remotes')}`,
    ],
    /served on (127\.0\.0\.1:\d+)/,
  );
  const own = await started(
    [
      'apiserver',
      ...east,
      `--data-dir=${at('store')}`,
      '--listen=127.0.0.1:0',
      `--source=manifests:${at('manifests')}`,
    ],
    /on (127\.0\.0\.1:\d+)/,
  );
  const name = 'cluster-001';
  await writeFile(at('own.yaml'), `endpoints: ["http://${own.found}"]\n`);
  await writeFile(join(at('copies'), name), `endpoints: ["http://${mesh.found}"]\n`);
  const socket = at('agent.sock');
  await started(
    [
      'agent',
      ...east,
      '--node-name=n1',
      '--node-ip=192.0.2.1',
      '--kernel=memory',
      `--state-dir=${at('state')}`,
      `--api-socket=${socket}`,
      '--store=etcd',
      `--store-config=${at('own.yaml')}`,
      `--clustermesh-config=${at('copies')}`,
    ],
    /^/,
  );
  const status = async (): Promise<RemoteClusterStatus | undefined> => {
    const answer = (await callUnixApi(socket, { route: '/v1/status' }).catch(() => undefined)) as
      | { readonly clusters: readonly RemoteClusterStatus[] }
      | undefined;
    return answer?.clusters[0];
  };
  const pause = (): Promise<void> => clock.sleep(100);
  await until(async () => (await status())?.copies?.state === 'current', pause);
  expect(await status()).toMatchObject({ ready: true, 'num-endpoints': 5, config: { kvstoremesh: true } });

  // The store of the copies lives on, and its heart beats.
  remote.child.kill('SIGKILL');
  await until(async () => (await status())?.copies?.state !== 'current', pause);
  expect(await status()).toMatchObject({
    ready: false,
    connected: true,
    'num-endpoints': 5,
    copies: { state: 'behind', reason: expect.stringContaining('not connected') },
  });
  expect(spawnSync(isthmus, ['status', '--api-socket', socket]).status).toBe(1);
});

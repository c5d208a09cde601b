import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { etcdctl, spawnEtcdctl } from '../../support/etcd.ts';
import { needs } from '../../support/probe.ts';
import { until } from '../../support/until.ts';

const isthmus = join(import.meta.dirname, '../../../bin/isthmus');
const timeoutMs = 180_000;

let folder: string;
const children: ChildProcess[] = [];
const clusters = new Map<string, { readonly store: string; readonly enrolment: string }>();
let said = '';

/** Runs a command; its output, whatever its exit code. */
function run(args: readonly string[], input = ''): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(isthmus, args, { stdio: 'pipe' });
    const text = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk));
    child.stdin.on('error', () => undefined).end(input);
    child.once('close', (code) => resolve({ code, ...text }));
  });
}

const folderOf = (cluster: string): string => join(folder, cluster);
const peer = (cluster: string, args: readonly string[], input = ''): ReturnType<typeof run> =>
  run(['peer', ...args, '--peer-dir', folderOf(cluster)], input);
const good = async (running: ReturnType<typeof run>): Promise<string> => {
  const { code, stdout, stderr } = await running;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
};

/** What `reader` shows to the store of `cluster`. */
const shownBy = (reader: string, cluster: string): readonly string[] => {
  const file = (ending: string): string => join(folderOf(reader), 'clustermesh', `${cluster}.etcd-client${ending}`);
  return ['--cacert', file('-ca.crt'), '--cert', file('.crt'), '--key', file('.key')];
};
const asPeer = (reader: string, cluster: string, ...args: string[]): ReturnType<typeof etcdctl> =>
  etcdctl(clusters.get(cluster)?.store ?? '', [...shownBy(reader, cluster), ...args]);
const asRoot = (cluster: string, ...args: string[]): ReturnType<typeof etcdctl> => {
  const file = (name: string): string => join(folderOf(cluster), 'certificates', 'admin', name);
  const tls = ['--cacert', file('ca.crt'), '--cert', file('tls.crt'), '--key', file('tls.key')];
  return etcdctl(clusters.get(cluster)?.store ?? '', [...tls, ...args]);
};

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

needs('etcd')('two apiservers as peers', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'isthmus-peers-'));
    for (const [i, name] of ['east', 'west'].entries()) {
      const [store, enrolment] = [`https://127.0.0.1:${await freePort()}`, `https://127.0.0.1:${await freePort()}`];
      clusters.set(name, { store, enrolment });
      const who = ['--cluster-name', name, '--cluster-id', `${i + 1}`];
      await good(peer(name, ['init', ...who, '--endpoint', store, '--enrolment', enrolment]));
      const manifests = join(folder, `${name}-manifests`);
      mkdirSync(manifests);
      const listen = ['--listen', store.slice('https://'.length), '--peer-listen', enrolment.slice('https://'.length)];
      const where = [
        '--store',
        'memory',
        '--source',
        `manifests:${manifests}`,
        '--peer-dir',
        folderOf(name),
        ...listen,
      ];
      const child = spawn(isthmus, ['apiserver', ...who, ...where, '--log-level', 'debug'], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      children.push(child);
      child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    }
    for (const name of clusters.keys())
      await until(async () => (await asRoot(name, 'get', `cilium/cluster-config/${name}`)).stdout.includes('"id"'));
  }, timeoutMs);
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  test(
    'read of each other what peers may read, write nothing, and part again',
    async () => {
      const invitation = await good(peer('east', ['invite', 'west', '--id', '2']));
      expect(await good(peer('west', ['accept'], invitation))).toBe('west and east are peers\n');
      await until(async () => (await asPeer('west', 'east', 'get', 'cilium/.heartbeat')).code === 0);
      await until(async () => (await asPeer('east', 'west', 'get', 'cilium/.heartbeat')).code === 0);
      for (const [reader, cluster] of [
        ['west', 'east'],
        ['east', 'west'],
      ] as const) {
        const may = ['cilium/state/', `cilium/synced/${cluster}/`];
        for (const prefix of may)
          expect(
            await asPeer(reader, cluster, 'get', '--prefix', prefix, '--count-only', '-w', 'fields'),
          ).toMatchObject({ code: 0 });
        expect((await asPeer(reader, cluster, 'get', `cilium/cluster-config/${cluster}`)).stdout).toContain('"id"');
        const mayNot = [
          ['get', '--prefix', ''],
          ['get', '--prefix', 'isthmus/'],
          ['get', '--prefix', 'cilium/cluster-config/'],
          ['get', '--prefix', 'cilium/synced/'],
          ['get', '--prefix', 'cilium/cache/'],
          ['put', 'cilium/state/nodes/v1/x/y', 'z'],
          ['put', 'cilium/.heartbeat', 'z'],
          ['del', '--prefix', 'cilium/state/'],
          ['lease', 'grant', '60'],
          ['compact', '2'],
        ];
        for (const args of mayNot) {
          const { code, stderr } = await asPeer(reader, cluster, ...args);
          expect({ args, code, denied: stderr.includes('permission denied') }).toEqual({ args, code: 1, denied: true });
        }
      }

      // A watch that stands goes on, whatever is renewed.
      const store = clusters.get('east')?.store ?? '';
      const watch = await spawnEtcdctl(store, [...shownBy('west', 'east'), 'watch', '--prefix', 'cilium/state/nodes/']);
      children.push(watch);
      let seen = '';
      let ended = false;
      watch.stdout?.setEncoding('utf8').on('data', (text: string) => (seen += text));
      watch.stderr?.setEncoding('utf8').on('data', (text: string) => (seen += text));
      watch.once('close', () => (ended = true));
      const change = async (value: string): Promise<void> => {
        await asRoot('east', 'put', 'cilium/state/nodes/v1/east/n1', value);
        await until(() => seen.includes(value));
      };
      await until(async () => {
        await asRoot('east', 'put', 'cilium/state/nodes/v1/east/n1', 'first');
        return seen.includes('first');
      });
      const certificate = (cluster: string, other: string): string =>
        readFileSync(join(folderOf(cluster), 'clustermesh', `${other}.etcd-client.crt`), 'utf8');
      const before = certificate('west', 'east');
      await good(peer('west', ['rotate', '--authority']));
      await good(peer('east', ['rotate', '--authority']));
      expect(certificate('west', 'east')).not.toBe(before);
      await change('after-rotation');
      expect((await asPeer('west', 'east', 'get', `cilium/cluster-config/east`)).stdout).toContain('"id"');
      expect((await asPeer('east', 'west', 'get', `cilium/cluster-config/west`)).stdout).toContain('"id"');
      expect(ended).toBe(false);

      // A token works once, and a name is a peer once.
      const again = await peer('west', ['accept'], invitation);
      expect({ code: again.code, stderr: again.stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('is a peer already'),
      });

      // Who leaves is out, with whatever it has open.
      expect(await good(peer('west', ['leave', 'east']))).toContain('no peers any more');
      await until(() => ended || seen.includes('permission denied'));
      await until(async () => (await asRoot('east', 'get', 'cilium/.heartbeat')).code === 0);
      for (const cluster of clusters.keys()) {
        expect(JSON.parse(await good(peer(cluster, ['list', '-o', 'json'])))).toMatchObject({ peers: [], invited: [] });
        expect(readFileSync(join(folderOf(cluster), 'users.yaml'), 'utf8')).toContain('users: []');
      }
      const { token } = JSON.parse(invitation) as { readonly token: string };
      expect(said).not.toContain(token);
    },
    timeoutMs,
  );

  test(
    'refuse an invitation that is not for them, or is garbage, and name why',
    async () => {
      const invitation = await good(peer('east', ['invite', 'north', '--id', '9']));
      for (const [input, words] of [
        [invitation, 'The invitation is for north with id 9, and this is west with id 2'],
        [invitation.slice(0, 300), 'Invitation: expected JSON'],
        ['', 'Invitation: expected JSON'],
      ] as const) {
        const { code, stderr } = await peer('west', ['accept'], input);
        expect({ code, says: stderr.includes(words), stderr }).toMatchObject({ code: 1, says: true });
      }
      expect(await good(peer('east', ['leave', 'north']))).toBe('north is not invited any more\n');
      for (const [args, code] of [
        [['invite', 'East!'], 2],
        [['invite', 'east'], 1],
        [['show', 'nobody'], 2],
        [['leave', 'nobody'], 2],
        [['issue', 'nobody'], 2],
      ] as const)
        expect({ args, code: (await peer('east', args)).code }).toEqual({ args, code });
    },
    timeoutMs,
  );
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { StoreSwitch } from '../../../lab/index.ts';
import { labPaths, nodePaths } from '../../../lab/state/index.ts';
import { callUnixApi } from '../../../runtime/serve/index.ts';
import { builtBinary } from '../../support/built-binary.ts';
import { consulBinary } from '../../support/consul.ts';
import { etcdBinary } from '../../support/etcd.ts';
import { needs } from '../../support/probe.ts';
import {
  eventually,
  isthmus,
  kernelState,
  labStatus,
  leftovers,
  meshState,
  smallLab,
  succeed,
  uniqueName,
} from './isthmus.ts';
import { streamFrom } from './stream.ts';

const describeIf = needs('root', 'netns', 'libbpf', 'bpf', 'cgroup2', 'etcd', 'consul');

const variables = ['ISTHMUS_LAB_ETCD', 'ISTHMUS_LAB_CONSUL'] as const;
const before = variables.map((name) => process.env[name]);
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-switch-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  variables.forEach((name, i) => {
    if (before[i] === undefined) delete process.env[name];
    else process.env[name] = before[i];
  });
});

/** The lab's processes have the environment of the command that begins it. */
async function nameBinaries(): Promise<void> {
  process.env['ISTHMUS_LAB_ETCD'] = await builtBinary(etcdBinary);
  process.env['ISTHMUS_LAB_CONSUL'] = await builtBinary(consulBinary);
}

describeIf('a running cluster that moves from one store to another', () => {
  const lab = uniqueName('move');

  beforeAll(async () => {
    await nameBinaries();
    await succeed('lab', 'up', '--name', lab, ...smallLab, '--kernel', 'linux');
  }, 700_000);
  afterAll(async () => {
    await isthmus('lab', 'down', '--name', lab);
    expect(leftovers(lab)).toEqual([]);
  }, 60_000);

  test('loses no packet and no connection, and no record differs: embedded, etcd, Consul, and back', async () => {
    const { pods } = await labStatus(lab);
    const client = pods.find(({ path, node }) => path.startsWith('east/shop/client') && node === 'node-1')?.path ?? '';
    const server = pods.find(({ path }) => path.startsWith('west/shop/web'))?.ip ?? '';
    const nodes = [
      ['east', 'node-1'],
      ['east', 'node-2'],
      ['west', 'node-1'],
    ] as const;
    const kernel = (): Promise<string[][]> =>
      Promise.all(nodes.map(([cluster, node]) => kernelState(lab, cluster, node)));
    const mesh = (): Promise<string[][]> => Promise.all(nodes.map(([cluster, node]) => meshState(lab, cluster, node)));
    const [kernelBefore, meshBefore] = [await kernel(), await mesh()];
    const endFile = join(folder, 'end');
    const stream = streamFrom(lab, client, { address: server, tcp: 8080, udp: 8081 }, 400_000, endFile);
    const moves: StoreSwitch[] = [];
    for (const kind of ['etcd', 'consul', 'embedded'])
      moves.push(JSON.parse(await succeed('lab', 'store', 'east', kind, '--name', lab, '-o', 'json')) as StoreSwitch);
    await writeFile(endFile, '');
    const { sent, received, written, echoed } = await stream;
    expect(sent).toBeGreaterThan(1000);
    expect([sent - received, written - echoed]).toEqual([0, 0]);
    expect(moves).toMatchObject([
      { cluster: 'east', from: 'embedded', to: 'etcd', before: 0, after: 0 },
      { cluster: 'east', from: 'etcd', to: 'consul', before: 0, after: 0 },
      { cluster: 'east', from: 'consul', to: 'embedded', before: 0, after: 0 },
    ]);
    for (const { keys, compared } of moves) {
      expect(keys).toBeGreaterThan(10);
      // Nodes, addresses, identities, Services in both forms, and what only the own cluster reads of them.
      expect(compared).toBeGreaterThan(20);
    }
    expect(await kernel()).toEqual(kernelBefore);
    await eventually(async () => expect(await mesh()).toEqual(meshBefore));
    // What the new store tells still comes through, on both sides.
    const victim = pods.find(({ path }) => path.startsWith('east/shop/web'));
    const knows = async (): Promise<boolean> =>
      (await meshState(lab, 'west', 'node-1')).some((line) => line.includes(victim?.ip ?? 'nobody'));
    expect(await knows()).toBe(true);
    await succeed('lab', 'stop', victim?.path ?? '', '--name', lab);
    await eventually(async () => expect(await knows()).toBe(false));
    await succeed('lab', 'start', victim?.path ?? '', '--name', lab);
    await eventually(async () => expect(await knows()).toBe(true));
  }, 450_000);

  test.each([
    { words: ['nowhere', 'etcd'], says: 'no cluster' },
    { words: ['east', 'redis'], says: '"redis" is no store' },
    { words: ['east', 'embedded'], says: 'is embedded already' },
  ])('is refused what cannot be: $words', async ({ words, says }) => {
    const { code, stderr } = await isthmus('lab', 'store', ...words, '--name', lab);
    expect([code, stderr]).toEqual([2, expect.stringContaining(says)]);
  });
});

describeIf('a lab whose clusters keep their records in Consul', () => {
  const lab = uniqueName('consul');

  beforeAll(nameBinaries, 600_000);
  afterAll(async () => {
    await isthmus('lab', 'down', '--name', lab);
    expect(leftovers(lab)).toEqual([]);
  }, 60_000);

  test('comes up with one option, and its clusters see one another through their mirrors', async () => {
    await succeed('lab', 'up', '--name', lab, ...smallLab, '--kernel', 'memory', '--store', 'consul');
    await eventually(async () => {
      const { clusters, processes } = await labStatus(lab);
      expect(clusters.map(({ state }) => state)).toEqual(['ready', 'ready']);
      expect(processes.map(({ role }) => role)).toEqual(expect.arrayContaining(['east/consul', 'west/consul']));
    }, 60_000);
    await eventually(async () =>
      expect((await meshState(lab, 'west', 'node-1')).some((line) => line.includes('10.1.0.10'))).toBe(true),
    );
  }, 180_000);

  test('moves to another store with all its pods, though devices in memory end with their agents', async () => {
    const socket = nodePaths(labPaths(lab), 'east', 'node-1').apiSocket;
    const endpoints = async (): Promise<unknown[]> =>
      (await callUnixApi(socket, { route: '/v1/endpoints' })) as unknown[];
    const { length } = await endpoints();
    expect(length).toBeGreaterThan(0);
    const moved = JSON.parse(
      await succeed('lab', 'store', 'east', 'embedded', '--name', lab, '-o', 'json'),
    ) as StoreSwitch;
    expect(moved).toMatchObject({ before: 0, after: 0 });
    expect(await endpoints()).toHaveLength(length);
    const pidOf = async (): Promise<number | undefined> =>
      (await labStatus(lab)).processes.find(({ role }) => role === 'east/node-1/agent')?.pid;
    const pid = await pidOf();
    process.kill(pid ?? 0, 'SIGKILL');
    await eventually(async () => expect(await pidOf()).not.toBe(pid));
    await eventually(async () => expect(await endpoints()).toHaveLength(length));
  }, 180_000);
});

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { needs } from '../../support/probe.ts';
import {
  eventually,
  isthmus,
  hasAddress,
  kernelState,
  labStatus,
  leftovers,
  meshState,
  pidOf,
  serviceState,
  smallLab,
  succeed,
  uniqueName,
} from './isthmus.ts';
import { streamFrom } from './stream.ts';

const describeIf = needs('root', 'netns', 'libbpf', 'bpf', 'cgroup2');

/** How long the link between the clusters stays cut: a minute in CI. */
const cutSeconds = Number(process.env['ISTHMUS_TEST_CUT_SECONDS'] ?? (process.env['CI'] === 'true' ? 60 : 12));

describeIf('faults of a running mesh', () => {
  const lab = uniqueName('fault');
  let client = '';
  let localServer = '';
  let remoteServer = '';

  beforeAll(async () => {
    await succeed('lab', 'up', '--name', lab, ...smallLab);
    const { pods } = await labStatus(lab);
    client = pods.find(({ path, node }) => path.startsWith('east/shop/client') && node === 'node-1')?.path ?? '';
    localServer = pods.find(({ path, node }) => path.startsWith('east/shop/web') && node === 'node-2')?.ip ?? '';
    remoteServer = pods.find(({ path }) => path.startsWith('west/shop/web'))?.ip ?? '';
  }, 60_000);

  afterAll(async () => {
    await isthmus('lab', 'down', '--name', lab);
    expect(leftovers(lab)).toEqual([]);
  }, 60_000);

  test('an agent that is killed and started again loses no packet of a running stream and changes nothing in the kernel', async () => {
    const state = async (): Promise<string[]> => [
      ...(await kernelState(lab, 'east', 'node-1')),
      ...(await serviceState(lab, 'east', 'node-1')),
    ];
    const before = await state();
    expect(hasAddress(before, remoteServer)).toBe(true);
    const stream = streamFrom(lab, client, { address: remoteServer, tcp: 8080, udp: 8081 }, 5000);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    process.kill(await pidOf(lab, 'east/node-1/agent'), 'SIGKILL');
    const result = await stream;
    expect(result.sent).toBeGreaterThan(500);
    expect([result.sent - result.received, result.written - result.echoed]).toEqual([0, 0]);
    await awaitReady(lab);
    expect(await state()).toEqual(before);
  }, 60_000);

  test.each(['SIGKILL', 'SIGTERM'] as const)(
    'an apiserver that ends by %s and comes back: nothing is pruned meanwhile, and agents catch up',
    async (signal) => {
      const [kernel, mesh] = await Promise.all([kernelState(lab, 'west', 'node-1'), meshState(lab, 'west', 'node-1')]);
      process.kill(await pidOf(lab, 'east/apiserver'), signal);
      for (let i = 0; i < 15; i++) {
        const now = await kernelState(lab, 'west', 'node-1');
        expect(kernel.filter((line) => !now.includes(line))).toEqual([]);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      await awaitReady(lab);
      expect(await meshState(lab, 'west', 'node-1')).toEqual(mesh);
      const victim = (await labStatus(lab)).pods.find(({ path }) => path.startsWith('east/shop/web'))?.path ?? '';
      await succeed('lab', 'stop', victim, '--name', lab);
      await eventually(async () => expect((await meshState(lab, 'west', 'node-1')).length).toBeLessThan(mesh.length));
      await succeed('lab', 'start', victim, '--name', lab);
      await eventually(async () => expect(await meshState(lab, 'west', 'node-1')).toEqual(mesh));
    },
    90_000,
  );

  test(
    'a cluster that is cut off and comes back: connections inside a cluster do not notice, and the state equals a fresh sync',
    async () => {
      const nodes = [
        ['east', 'node-1'],
        ['west', 'node-1'],
      ] as const;
      const before = await Promise.all(nodes.map(([cluster, node]) => forwardingState(lab, cluster, node)));
      const stream = streamFrom(lab, client, { address: localServer, tcp: 8080, udp: 8081 }, cutSeconds * 1000);
      await succeed('lab', 'cut', 'east', 'west', '--name', lab);
      // While it is cut, a pod of west goes: east cannot know yet and keeps it.
      const victim = (await labStatus(lab)).pods.find(({ path }) => path.startsWith('west/shop/web'))?.path ?? '';
      await succeed('lab', 'stop', victim, '--name', lab);
      const result = await stream;
      expect([result.sent - result.received, result.written - result.echoed]).toEqual([0, 0]);
      expect(await forwardingState(lab, 'east', 'node-1')).toEqual(before[0]);
      await succeed('lab', 'heal', 'east', 'west', '--name', lab);
      await eventually(async () =>
        expect(hasAddress(await forwardingState(lab, 'east', 'node-1'), remoteServer)).toBe(false),
      );
      await succeed('lab', 'start', victim, '--name', lab);
      await eventually(async () =>
        expect(await Promise.all(nodes.map(([cluster, node]) => forwardingState(lab, cluster, node)))).toEqual(before),
      );
      const reached = await streamFrom(lab, client, { address: remoteServer, tcp: 8080, udp: 8081 }, 500);
      expect(reached.received).toBe(reached.sent);
    },
    60_000 + cutSeconds * 2000,
  );
});

/** What decides where packets go; devices and endpoint numbers change when a pod is started again. */
async function forwardingState(name: string, cluster: string, node: string): Promise<string[]> {
  return (await kernelState(name, cluster, node)).filter((line) => /^route |^map isthmus_ipcache /.test(line));
}

async function awaitReady(lab: string): Promise<void> {
  await eventually(async () =>
    expect((await labStatus(lab)).clusters.map(({ state }) => state)).toEqual(['ready', 'ready']),
  );
}

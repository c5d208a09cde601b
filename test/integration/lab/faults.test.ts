import { spawn } from 'node:child_process';
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
  served,
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

  test.each(['east/node-1', 'west/node-1', 'east/apiserver'])(
    '%s serves readiness, liveness and metrics on loopback of its own namespace',
    async (member) => {
      const process = member.endsWith('apiserver') ? 'bootstrap_seconds' : 'agent_ready 1';
      expect(await served(lab, member, '/healthz')).toMatch(/^200 /);
      await eventually(async () => expect(await served(lab, member, '/readyz')).toMatch(/^200 /));
      expect(await served(lab, member, '/metrics')).toMatch(new RegExp(`^200 [^]*\\nisthmus_${process}`));
    },
    60_000,
  );

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

  test('a process that serves the pods of a node is started again with all that ran, and without what was stopped', async () => {
    const { pods } = await labStatus(lab);
    const here = pods.filter(({ path, node }) => path.startsWith('east/') && node === 'node-2');
    const stopped = here.find(({ path }) => path.startsWith('east/shop/client'));
    const echo = (address: string) => streamFrom(lab, client, { address, tcp: 8080, udp: 8081 }, 200);
    await succeed('lab', 'stop', stopped?.path ?? '', '--name', lab);
    process.kill(await pidOf(lab, 'east/node-2/pods'), 'SIGKILL');
    await eventually(async () => {
      const [result, status] = await Promise.all([echo(localServer), labStatus(lab)]);
      expect([result.received, result.echoed]).toEqual([result.sent, result.written]);
      expect(status.processes.find(({ role }) => role === 'east/node-2/pods')?.restarts).toBe(1);
    });
    expect((await labStatus(lab)).pods.find(({ path }) => path === stopped?.path)?.state).toBe('stopped');
    const inside = await isthmus('lab', 'exec', stopped?.path ?? '', '--name', lab, '--', 'true');
    expect([inside.code, inside.stderr]).toEqual([2, expect.stringContaining(`Pod ${stopped?.path} is stopped`)]);
    // Stopping and starting need the new process to know the pods of the old one.
    const served = here.find(({ ip }) => ip === localServer)?.path ?? '';
    await succeed('lab', 'stop', served, '--name', lab);
    await succeed('lab', 'start', served, '--name', lab);
    await succeed('lab', 'start', stopped?.path ?? '', '--name', lab);
    const result = await echo(localServer);
    expect([result.received, result.echoed]).toEqual([result.sent, result.written]);
    await awaitReady(lab);
  }, 90_000);

  test('an agent that cannot reach its own store is not ready: both status commands say so, and which link is cut', async () => {
    const kernel = await kernelState(lab, 'east', 'node-1');
    await succeed('lab', 'cut', 'east/node-1', 'east/apiserver', '--name', lab);
    await eventually(async () => {
      const [ofLab, ofAll] = await Promise.all([
        isthmus('lab', 'status', '--name', lab),
        isthmus('status', '--name', lab),
      ]);
      expect([ofLab.code, ofAll.code]).toEqual([1, 1]);
      expect(ofLab.stdout).toMatch(/^east .* node-1 lost store http:\S+ at \d{4}-\S+Z \(/m);
      expect(ofLab.stdout).toContain('CUT  east/apiserver ✗ east/node-1');
      expect(ofAll.stdout).toMatch(/agent east\/node-1 .*: not ready, waiting for connection to own store http/);
      expect(ofAll.stdout).toMatch(/not connected since \d{4}-\S+Z \(/);
    });
    expect(await served(lab, 'east/node-1', '/readyz')).toMatch(/^500 [^]*connection to own store/);
    expect(await served(lab, 'east/node-1', '/healthz')).toMatch(/^200 /);
    expect(await kernelState(lab, 'east', 'node-1')).toEqual(kernel);
    await succeed('lab', 'heal', 'east/node-1', 'east/apiserver', '--name', lab);
    await awaitReady(lab);
    expect((await isthmus('status', '--name', lab)).code).toBe(0);
    expect((await labStatus(lab)).cut).toEqual([]);
  }, 90_000);

  test('an agent that hangs is named by both status commands, and others are asked in its place', async () => {
    const pid = await pidOf(lab, 'east/node-1/agent');
    process.kill(pid, 'SIGSTOP');
    try {
      const [ofLab, ofAll, ips] = await Promise.all([
        isthmus('lab', 'status', '--name', lab),
        isthmus('status', '--name', lab),
        isthmus('get', 'ips', '--name', lab),
      ]);
      expect([ofLab.code, ofAll.code, ips.code]).toEqual([1, 1, 0]);
      expect(ofLab.stdout).toMatch(/^east .* node-1 does not answer/m);
      expect(ofAll.stdout).toMatch(/node-1.*agent\.sock: it has said nothing for 10 s/);
      expect(ips.stdout).toContain(remoteServer);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await awaitReady(lab);
  }, 90_000);

  test('a command in a pod outlives Ctrl-C as often as it likes, and ends with what ends lab exec', async () => {
    const words = ['lab', 'exec', client, '--name', lab, '--', 'sh', '-c', 'echo up; exec sleep 600'];
    const child = spawn('bin/isthmus', words, { stdio: ['ignore', 'pipe', 'ignore'] });
    const closed = new Promise((resolve) => child.once('close', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.kill('SIGINT');
    // Later it is no echo of the first any more, and would end every other command at once.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    child.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect([child.exitCode, child.signalCode]).toEqual([null, null]);
    child.kill('SIGTERM');
    // The pipe is closed when the command in the pod has ended, too.
    expect(await closed).toBe(1);
  }, 30_000);

  test.each([
    { words: ['lab', 'cut', 'east', 'east'], says: 'east has no link to itself' },
    { words: ['lab', 'cut', 'East', 'west'], says: 'The lab has no cluster "East"; it has east, west' },
    { words: ['lab', 'heal', 'east/node-7', 'west'], says: 'has no member "east/node-7"' },
    { words: ['lab', 'stop', 'nobody'], says: 'The lab has no pod "nobody"' },
    { words: ['get', 'ips', '--cluster', 'Easst'], says: 'There is no cluster "Easst" in this mesh' },
    { words: ['lab', 'exec', 'nobody', '--', 'true'], says: '0 pods of lab' },
  ])('$words asks for what is not there: exit code 2 and what is', async ({ words, says }) => {
    const [command = '', ...rest] = words;
    const end = rest.indexOf('--');
    const outcome = await isthmus(command, ...rest.toSpliced(end < 0 ? rest.length : end, 0, '--name', lab));
    expect([outcome.code, outcome.stdout]).toEqual([2, '']);
    expect(outcome.stderr).toContain(says);
  });

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

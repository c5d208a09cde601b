import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { LabReport } from '../../../lab/index.ts';
import { needs } from '../../support/probe.ts';
import { eventually, isthmus, labStatus, leftovers, pidOf, smallLab, succeed, uniqueName } from './isthmus.ts';

const describeIf = needs('root', 'netns', 'libbpf', 'bpf', 'cgroup2');

describeIf('a lab run once', () => {
  test.each(['tcx', 'clsact'])(
    'connects every pod with every other, answers Services, fails over and leaves nothing, with %s',
    async (tcMode) => {
      const name = uniqueName(tcMode);
      const outcome = await isthmus(
        'lab',
        'run',
        '--name',
        name,
        '--once',
        '-o',
        'json',
        '--tc-mode',
        tcMode,
        ...smallLab,
      );
      expect([outcome.code, outcome.stderr.includes('mesh is up')]).toEqual([0, true]);
      const report = JSON.parse(outcome.stdout) as LabReport;
      expect(
        report.clusters.map(({ name: cluster, id, nodes, endpoints, services, state }) => ({
          cluster,
          id,
          nodes,
          endpoints,
          services,
          state,
        })),
      ).toEqual([
        { cluster: 'east', id: 1, nodes: 2, endpoints: 4, services: 2, state: 'ready' },
        { cluster: 'west', id: 2, nodes: 1, endpoints: 2, services: 2, state: 'ready' },
      ]);
      expect(report.connectivity).toEqual({ pairs: 30, ok: 30, failed: [], strayPackets: 0 });
      expect(
        report.services.map(({ name: service, backends, failed, answeredBy }) => ({
          service,
          backends,
          failed,
          answeredBy: Object.keys(answeredBy).length,
        })),
      ).toEqual([
        { service: 'web', backends: { east: 2, west: 1 }, failed: 0, answeredBy: 3 },
        { service: 'datagrams', backends: { east: 2, west: 1 }, failed: 0, answeredBy: 3 },
      ]);
      expect(
        report.failover.map(({ service, stopped, failed, requests }) => ({
          service,
          stopped,
          failed,
          enough: requests >= 1000,
        })),
      ).toEqual([
        { service: 'shop/web', stopped: 'east', failed: 0, enough: true },
        { service: 'shop/datagrams', stopped: 'east', failed: 0, enough: true },
      ]);
      expect(leftovers(name)).toEqual([]);
    },
    120_000,
  );

  test('on an in-memory kernel sends no packet and is judged by its state', async () => {
    const name = uniqueName('memory');
    const outcome = await isthmus(
      'lab',
      'run',
      '--name',
      name,
      '--once',
      '-o',
      'json',
      '--kernel',
      'memory',
      ...smallLab,
    );
    const report = JSON.parse(outcome.stdout) as LabReport;
    expect(outcome.code).toBe(0);
    expect(report.connectivity).toEqual({ pairs: 0, ok: 0, failed: [], strayPackets: 0 });
    expect(report.services.map(({ requests, notAsked }) => ({ requests, notAsked }))).toEqual(
      ['web', 'datagrams'].map(() => ({ requests: 0, notAsked: 'no packet is sent by an in-memory kernel' })),
    );
    expect(report.timings.firstCrossClusterMs).toBeNull();
    expect(leftovers(name)).toEqual([]);
  }, 60_000);

  test('on an in-memory kernel prints the state of every node as ip, bridge and map lines', async () => {
    const outcome = await isthmus(
      'lab',
      'run',
      '--name',
      uniqueName('state'),
      '--once',
      '--kernel',
      'memory',
      ...smallLab,
    );
    const [, ...nodes] = outcome.stdout.split(/^kernel state of /m);
    expect(nodes.map((text) => text.slice(0, text.indexOf(':')))).toEqual(
      ['east/node-1', 'east/node-2', 'west/node-1'].map((node) => `${node} (in memory`),
    );
    for (const text of nodes) {
      for (const line of [
        /^link isth0: .* vxlan external dstport 8472 /m,
        /^route 10\.\d\.\d\.0\/24 via \S+ dev isth0 /m,
        /^neigh \S+ dev isth0 /m,
        /^bridge fdb dev isth0 no entries /m,
        /^map isthmus_ipcache 10\.\d\.\d\.10\/32 => identity \d+ tunnel /m,
      ])
        expect(text).toMatch(line);
    }
    expect(outcome.stdout).toContain('No packet was sent');
  }, 60_000);
});

describeIf('the life of a lab', () => {
  test('a live name is refused with the command that ends it; a dead one is cleaned by the next start', async () => {
    const name = uniqueName('life');
    await succeed('lab', 'up', '--name', name, ...smallLab);
    try {
      const again = await isthmus('lab', 'up', '--name', name, ...smallLab);
      expect([again.code, again.stderr]).toEqual([2, expect.stringContaining(`bin/isthmus lab down --name ${name}`)]);
      const before = await labStatus(name);
      const supervisor = before.processes.find((one) => one.role === 'lab')?.pid ?? 0;
      process.kill(supervisor, 'SIGKILL');
      await eventually(async () => expect(before.processes.filter((one) => isRunning(one.pid))).toEqual([]));
      expect(leftovers(name)).not.toEqual([]);
      await succeed('lab', 'up', '--name', name, ...smallLab);
      expect((await labStatus(name)).clusters.map(({ state }) => state)).toEqual(['ready', 'ready']);
    } finally {
      await isthmus('lab', 'down', '--name', name);
    }
    expect(leftovers(name)).toEqual([]);
  }, 120_000);

  test('two labs run side by side, and ending one leaves the other whole', async () => {
    const [a, b] = [uniqueName('one'), uniqueName('two')];
    try {
      await succeed('lab', 'up', '--name', a, ...smallLab);
      await succeed('lab', 'up', '--name', b, ...smallLab);
      await succeed('lab', 'down', '--name', a);
      expect(leftovers(a)).toEqual([]);
      const { clusters, pods } = await labStatus(b);
      expect(clusters.map(({ state }) => state)).toEqual(['ready', 'ready']);
      const client = pods.find(({ path }) => path.startsWith('east/shop/client'));
      const server = pods.find(({ path }) => path.startsWith('west/shop/web'));
      const answer = await succeed(
        'lab',
        'exec',
        client?.path ?? '',
        '--name',
        b,
        '--',
        process.execPath,
        '-e',
        `require('net').connect(8080, '${server?.ip}').once('data', (d) => { process.stdout.write(d); process.exit(0) })`,
      );
      expect(JSON.parse(answer)).toMatchObject({ cluster: 'west', sawClient: client?.ip });
    } finally {
      await isthmus('lab', 'down', '--name', a);
      await isthmus('lab', 'down', '--name', b);
    }
    expect(leftovers(b)).toEqual([]);
  }, 120_000);

  test('Ctrl-C during the start ends with 1, since nothing was checked, and removes everything', async () => {
    const name = uniqueName('ctrlc');
    const child = spawn('bin/isthmus', ['lab', 'run', '--name', name, '--once', ...smallLab], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await new Promise<void>((resolve) =>
      child.stderr.on('data', (text: Buffer) => text.toString().includes('starting') && resolve()),
    );
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect([code, leftovers(name)]).toEqual([1, []]);
  }, 60_000);

  test('Ctrl-C ends a lab in which a process hangs, and removes everything', async () => {
    const name = uniqueName('hung');
    const child = spawn('bin/isthmus', ['lab', 'run', '--name', name, '--once', ...smallLab], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    await new Promise<void>((resolve) =>
      child.stderr.on('data', (text: Buffer) => text.toString().includes('mesh is up') && resolve()),
    );
    process.kill(await pidOf(name, 'west/node-1/pods'), 'SIGSTOP');
    child.kill('SIGINT');
    expect([await ended, leftovers(name)]).toEqual([1, []]);
  }, 60_000);

  test('goes on when nobody reads its progress any more, and removes everything in the end', async () => {
    const name = uniqueName('deaf');
    const child = spawn('bin/isthmus', ['lab', 'run', '--name', name, '--once', ...smallLab], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve) => child.stderr.once('data', resolve));
    child.stderr.destroy();
    await eventually(async () => expect((await labStatus(name)).upMs).toBeGreaterThan(0));
    child.kill('SIGINT');
    expect([await ended, leftovers(name)]).toEqual([1, []]);
  }, 60_000);
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

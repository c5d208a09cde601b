import { expect, test } from '@jest/globals';
import type { Datapath, ServiceEntry } from '../../../datapath/index.ts';
import { needs } from '../../support/probe.ts';
import { type Pod, type TcMode, at, counted, makeRig, openBoth } from './rig.ts';
import { answer, ask, connect, echo } from './traffic.ts';

const describeIf = needs('root', 'netns', 'libbpf', 'bpf', 'cgroup2');

const vip = '10.96.0.1';

function service(backends: readonly Pod[]): ServiceEntry {
  return {
    address: vip,
    port: 80,
    protocol: 'TCP',
    backends: backends.map(({ address }) => ({ address, port: 8080, state: 'active' })),
  };
}

function forwarded(datapath: Datapath): Readonly<Record<string, number>> {
  return counted(datapath.forwardCounters());
}

describeIf('a service', () => {
  test.each<{ readonly level: 'tc' | 'socket'; readonly tcMode: TcMode }>([
    { level: 'tc', tcMode: 'tcx' },
    { level: 'tc', tcMode: 'clsact' },
    { level: 'socket', tcMode: 'tcx' },
    { level: 'socket', tcMode: 'clsact' },
  ])('is answered by backends of both nodes at the $level level with $tcMode', async ({ level, tcMode }) => {
    await using rig = await makeRig('dtsv', tcMode);
    const [one, two] = rig.nodes;
    const client = at(one.pods, 0);
    const backends = [at(one.pods, 1), at(two.pods, 0), at(two.pods, 1)];
    const [datapath] = await openBoth(rig);
    await datapath.services.apply({ upsert: [service(backends)] });
    await using stack = new AsyncDisposableStack();
    for (const pod of backends) stack.use(await answer(pod, 8080, pod.address));

    const seen = new Set<string>();
    for (let i = 0; i < 60; i++) seen.add(await ask(client, vip, 80, level === 'socket' ? { cgroup: one.cgroup } : {}));
    expect([...seen].sort()).toEqual(backends.map(({ address }) => `${address} ${client.address}`));

    const counts = forwarded(datapath);
    if (level === 'tc') {
      expect(counts['service tc']).toBeGreaterThanOrEqual(60);
      expect(counts['reverse tc']).toBeGreaterThanOrEqual(60);
      expect(counts['service socket']).toBeUndefined();
    } else {
      expect(counts['service socket']).toBe(60);
      expect(counts['service tc']).toBeUndefined();
    }
    expect(counted(datapath.dropCounters())).toEqual({});
  });

  test('shows itself, not its backend, as the peer of a socket', async () => {
    await using rig = await makeRig('dtpn', 'clsact');
    const [one, two] = rig.nodes;
    const [datapath] = await openBoth(rig);
    await datapath.services.apply({ upsert: [service([at(two.pods, 0)])] });
    await using _server = await echo(at(two.pods, 0), 8080);
    for (const options of [{}, { cgroup: one.cgroup }]) {
      const socket = connect(at(one.pods, 0), vip, 80, options);
      socket.write('hello');
      await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject));
      expect([socket.remoteAddress, socket.remotePort]).toEqual([vip, 80]);
      socket.destroy();
    }
  });

  test.each(['tc', 'socket'] as const)(
    'moves to another backend without a failed connect at the %s level',
    async (level) => {
      await using rig = await makeRig('dtfo', 'clsact');
      const [one, two] = rig.nodes;
      const client = at(one.pods, 0);
      const [local, remote] = [at(one.pods, 1), at(two.pods, 0)];
      const [datapath] = await openBoth(rig);
      await datapath.services.apply({ upsert: [service([local])] });
      await using _local = await answer(local, 8080, 'local');
      await using _remote = await answer(remote, 8080, 'remote');
      const options = level === 'socket' ? { cgroup: one.cgroup } : {};

      const answers: string[] = [];
      for (let i = 0; i < 300; i++) {
        if (i === 100) await datapath.services.apply({ upsert: [service([remote])] });
        if (i === 200) await datapath.services.apply({ upsert: [service([local])] });
        answers.push((await ask(client, vip, 80, options)).split(' ')[0] ?? '');
      }
      expect(answers).toEqual([
        ...Array.from({ length: 100 }, () => 'local'),
        ...Array.from({ length: 100 }, () => 'remote'),
        ...Array.from({ length: 100 }, () => 'local'),
      ]);
    },
  );

  test('keeps an established connection on its backend when the backend leaves the service', async () => {
    await using rig = await makeRig('dtes', 'clsact');
    const [one, two] = rig.nodes;
    const [datapath] = await openBoth(rig);
    await datapath.services.apply({ upsert: [service([at(two.pods, 0)])] });
    await using _old = await echo(at(two.pods, 0), 8080);
    await using _new = await echo(at(two.pods, 1), 8080);
    const socket = connect(at(one.pods, 0), vip, 80);
    const roundTrip = (text: string): Promise<string> =>
      new Promise((resolve, reject) => {
        socket.once('data', (chunk: Buffer) => resolve(chunk.toString())).once('error', reject);
        socket.write(text);
      });
    expect(await roundTrip('before')).toBe('before');
    await datapath.services.apply({ upsert: [service([at(two.pods, 1)])] });
    expect(await roundTrip('after')).toBe('after');
    socket.destroy();
  });

  test.each<{ readonly level: 'tc' | 'socket'; readonly tcMode: TcMode }>([
    { level: 'tc', tcMode: 'tcx' },
    { level: 'tc', tcMode: 'clsact' },
    { level: 'socket', tcMode: 'clsact' },
  ])('without backends refuses a connect at the $level level with $tcMode, counted', async ({ level, tcMode }) => {
    await using rig = await makeRig('dtnb', tcMode);
    const [one] = rig.nodes;
    const [datapath] = await openBoth(rig);
    await datapath.services.apply({ upsert: [service([])] });
    const options = level === 'socket' ? { cgroup: one.cgroup } : {};
    const refused = async (): Promise<string> => await ask(at(one.pods, 0), vip, 80, options);
    await expect(refused()).rejects.toThrow('ECONNREFUSED');
    const full = await datapath.mapUsage();
    expect(full).toContainEqual({ map: 'services', name: 'isthmus_lb4_svc', entries: 1, maxEntries: 262_144 });
    expect(full).toContainEqual({ map: 'endpoints', name: 'isthmus_lxc', entries: 3, maxEntries: 65_535 });
    // An answer that comes while the socket is still busy with its SYN is heard at the next SYN only.
    expect(counted(datapath.dropCounters())).toEqual({ 'no backend': expect.any(Number) });
  });

  test.each<{ readonly level: 'tc' | 'socket'; readonly tcMode: TcMode }>([
    { level: 'tc', tcMode: 'tcx' },
    { level: 'tc', tcMode: 'clsact' },
    { level: 'socket', tcMode: 'clsact' },
  ])('answers a pod that is its own backend at the $level level with $tcMode', async ({ level, tcMode }) => {
    await using rig = await makeRig('dthp', tcMode);
    const [one, two] = rig.nodes;
    const pod = at(one.pods, 0);
    const [datapath] = await openBoth(rig);
    await datapath.services.apply({ upsert: [service([pod])] });
    await using _self = await answer(pod, 8080, 'self');
    await using _remote = await answer(at(two.pods, 0), 8080, 'other');
    const options = level === 'socket' ? { cgroup: one.cgroup } : {};
    const seenFrom = level === 'socket' ? pod.address : '169.254.42.1';
    for (let i = 0; i < 20; i++) expect(await ask(pod, vip, 80, options)).toBe(`self ${seenFrom}`);

    await datapath.services.apply({ upsert: [service([pod, at(two.pods, 0)])] });
    const seen = new Set<string>();
    for (let i = 0; i < 60; i++) seen.add(await ask(pod, vip, 80, options));
    expect([...seen].sort()).toEqual([`other ${pod.address}`, `self ${seenFrom}`]);
    expect(counted(datapath.dropCounters())).toEqual({});
  });

  test('keeps a client on one backend while it has affinity, at both levels', async () => {
    await using rig = await makeRig('dtaf', 'clsact');
    const [one, two] = rig.nodes;
    const backends = [at(one.pods, 1), at(two.pods, 0), at(two.pods, 1)];
    const [datapath] = await openBoth(rig);
    await datapath.services.apply({ upsert: [{ ...service(backends), affinitySeconds: 60 }] });
    await using stack = new AsyncDisposableStack();
    for (const pod of backends) stack.use(await answer(pod, 8080, pod.address));
    for (const options of [{}, { cgroup: one.cgroup }]) {
      const seen = new Set<string>();
      for (let i = 0; i < 20; i++) seen.add(await ask(at(one.pods, 0), vip, 80, options));
      expect(seen.size).toBe(1);
      const left = backends.filter(({ address }) => ![...seen][0]?.startsWith(`${address} `));
      await datapath.services.apply({ upsert: [{ ...service(left), affinitySeconds: 60 }] });
      expect(await ask(at(one.pods, 0), vip, 80, options)).not.toBe([...seen][0]);
      await datapath.services.apply({ upsert: [{ ...service(backends), affinitySeconds: 60 }] });
    }
  });
});

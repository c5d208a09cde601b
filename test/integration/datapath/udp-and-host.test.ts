import { spawn } from 'node:child_process';
import { type Socket, createSocket } from 'node:dgram';
import { expect, test } from '@jest/globals';
import type { ServiceEntry } from '../../../datapath/index.ts';
import { cgroupRoot, joinCgroup, runInNamespace, udpBindFd } from '../../../kernel/index.ts';
import { reconcileRoutes } from '../../../tunnel/index.ts';
import { hostPrefix, parsePrefix } from '../../../values/ip/index.ts';
import { needs } from '../../support/probe.ts';
import { type Pod, at, counted, makeRig, openBoth } from './rig.ts';
import { answer, ask, echo } from './traffic.ts';

const describeIf = needs('root', 'netns', 'libbpf', 'bpf', 'cgroup2');

const vip = '10.96.0.1';

async function udp(pod: Pod, port: number, cgroup?: string): Promise<Socket> {
  const socket = createSocket('udp4');
  const home = cgroup === undefined ? undefined : cgroupRoot();
  if (cgroup !== undefined) joinCgroup(cgroup);
  let fd: number;
  try {
    fd = udpBindFd(pod.namespace, { address: pod.address, port });
  } finally {
    if (home !== undefined) joinCgroup(home);
  }
  await new Promise<void>((resolve, reject) => {
    socket.once('listening', resolve).once('error', reject);
    socket.bind({ fd, exclusive: true });
  });
  return socket;
}

/** Sends one datagram and tells who answered, as the client sees it. */
async function question(socket: Socket, address: string, port: number): Promise<string> {
  const answered = new Promise<string>((resolve, reject) => {
    socket.once('message', (data, from) => resolve(`${data.toString()} from ${from.address}:${from.port}`));
    socket.once('error', reject);
    setTimeout(() => reject(new Error('No answer')), 3000).unref();
  });
  socket.send('?', port, address);
  return answered;
}

describeIf('a UDP service', () => {
  test.each(['tc', 'socket'] as const)('answers with its own address at the %s level', async (level) => {
    await using rig = await makeRig('dtud', 'clsact');
    const [one, two] = rig.nodes;
    const backend = at(two.pods, 0);
    const [datapath] = await openBoth(rig);
    const entry: ServiceEntry = {
      address: vip,
      port: 53,
      protocol: 'UDP',
      backends: [{ address: backend.address, port: 5353, state: 'active' }],
    };
    await datapath.services.apply({ upsert: [entry] });
    const server = await udp(backend, 5353);
    server.on('message', (_, from) => server.send(`hello ${from.address}`, from.port, from.address));
    const client = await udp(at(one.pods, 0), 0, level === 'socket' ? one.cgroup : undefined);
    for (let i = 0; i < 3; i++) expect(await question(client, vip, 53)).toBe('hello 10.1.0.1 from 10.96.0.1:53');
    const counts = counted(datapath.forwardCounters());
    expect([counts['service tc'] ?? 0, counts['service socket'] ?? 0]).toEqual(level === 'tc' ? [3, 0] : [0, 3]);
    client.close();
    server.close();
  });
});

/** Two connections from one source port: to the service, which tc translates, and straight to its backend. */
const twoConnections = `
  const net = require('node:net');
  const [vip, backend] = process.argv.slice(1);
  const open = (host, port) => new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, localPort: 45678 }, () => resolve(socket)).once('error', reject);
  });
  const echo = (socket, text) => new Promise((resolve) => {
    socket.once('data', (data) => resolve(String(data)));
    socket.write(text);
  });
  (async () => {
    const first = await open(vip, 80), second = await open(backend, 8080);
    const answers = [];
    for (const text of ['a', 'b']) answers.push(await echo(first, 'service ' + text), await echo(second, 'direct ' + text));
    console.log(answers.join(', '));
    process.exit(0);
  })().catch((error) => { console.log(String(error)); process.exit(1); });
`;

describeIf('a pod', () => {
  test('may talk to a service and straight to its backend from one source port', async () => {
    await using rig = await makeRig('dteq', 'clsact');
    const [one, two] = rig.nodes;
    const [client, backend] = [at(one.pods, 0), at(two.pods, 0)];
    const [datapath] = await openBoth(rig);
    const backends = [{ address: backend.address, port: 8080, state: 'active' as const }];
    await datapath.services.apply({ upsert: [{ address: vip, port: 80, protocol: 'TCP', backends }] });
    await using _server = await echo(backend, 8080);
    const child = runInNamespace(client.namespace, () =>
      spawn(process.execPath, ['-e', twoConnections, vip, backend.address], { timeout: 5000 }),
    );
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await new Promise((resolve) => child.once('close', resolve));
    expect(output.trim()).toBe('service a, direct a, service b, direct b');
    expect(counted(datapath.dropCounters())).toEqual({});
  });
});

describeIf('a node itself', () => {
  test('reaches its own pods and those of the other node, and they answer', async () => {
    await using rig = await makeRig('dtho', 'clsact', 1);
    const [one, two] = rig.nodes;
    const [first, second] = await openBoth(rig);
    for (const [node, datapath, other] of [
      [one, first, two],
      [two, second, one],
    ] as const) {
      const pod = at(node.pods, 0);
      await node.kernel.network.replaceRoutes([
        { destination: hostPrefix(pod.address), link: pod.link, scope: 'link', source: node.address },
      ]);
      await node.kernel.network.replaceNeighbours([{ link: pod.link, address: pod.address, mac: pod.mac }]);
      await reconcileRoutes(
        node.kernel.network,
        [
          {
            destination: parsePrefix(node === one ? '10.2.0.0/24' : '10.1.0.0/24'),
            device: 'isth0',
            mtu: 1450,
            source: node.address,
          },
        ],
        { prune: true },
      );
      await datapath.ipcache.apply({
        upsert: [{ prefix: hostPrefix(other.address), identity: 6, encryptKey: 0, tunnelEndpoint: other.address }],
      });
    }
    await using _one = await answer(at(one.pods, 0), 8080, 'one');
    await using _two = await answer(at(two.pods, 0), 8080, 'two');
    const host: Pod = { ...at(one.pods, 0), namespace: one.namespace };
    expect(await ask(host, at(one.pods, 0).address, 8080)).toBe(`one ${one.address}`);
    expect(await ask(host, at(two.pods, 0).address, 8080)).toBe(`two ${one.address}`);
    expect(counted(first.forwardCounters())['to stack']).toBeGreaterThan(0);
    for (const datapath of [first, second]) expect(counted(datapath.dropCounters())).toEqual({});
  });
});

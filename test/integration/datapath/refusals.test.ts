import { createSocket } from 'node:dgram';
import { expect, test } from '@jest/globals';
import { runInNamespace, udpBindFd } from '../../../kernel/index.ts';
import { hostPrefix } from '../../../values/ip/index.ts';
import { needs } from '../../support/probe.ts';
import { type Node, type Pod, at, counted, makeRig, openBoth } from './rig.ts';
import { answer, ask, until } from './traffic.ts';
import { ipv4Udp } from './packets.ts';

const describeIf = needs('root', 'netns', 'libbpf', 'bpf', 'cgroup2');

/** Sends a VXLAN packet from a node's own UDP socket: anybody who reaches the port can. */
async function sendForged(from: Node, to: Node, vni: number, inner: Uint8Array): Promise<void> {
  const socket = createSocket('udp4');
  const fd = udpBindFd(from.namespace, { address: from.address, port: 0 });
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    socket.once('listening', resolve);
    socket.bind({ fd, exclusive: true });
  });
  const header = Buffer.from([8, 0, 0, 0, vni >>> 16, (vni >>> 8) & 255, vni & 255, 0]);
  await new Promise<void>((resolve, reject) => {
    socket.send(Buffer.concat([header, inner]), 8472, to.address, (error) => (error ? reject(error) : resolve()));
  });
  socket.close();
}

describeIf('the datapath', () => {
  test('drops and counts what a pod sends with an address that is not its own', async () => {
    await using rig = await makeRig('dtsp', 'clsact');
    const [one, two] = rig.nodes;
    const [datapath] = await openBoth(rig);
    const [thief, victim] = [at(one.pods, 0), at(one.pods, 1)];
    await using _server = await answer(at(two.pods, 0), 8080, 'two');
    const eth0 = await thief.kernel.network.link('eth0');
    await thief.kernel.network.addAddress({ link: eth0?.index ?? 0, address: victim.address, length: 32 });

    const spoofed = ask(thief, at(two.pods, 0).address, 8080, { source: victim.address, timeoutMs: 200 });
    await expect(spoofed).rejects.toThrow('No answer');
    expect(counted(datapath.dropCounters())).toEqual({ 'spoofed source': expect.any(Number) });
    expect(await ask(thief, at(two.pods, 0).address, 8080)).toBe('two 10.1.0.1');
  });

  test('drops and counts a tunnel packet whose sender is not the node of its inner source', async () => {
    await using rig = await makeRig('dtfg', 'clsact');
    const [one, two] = rig.nodes;
    const [datapath, remote] = await openBoth(rig);
    const victim: Pod = at(one.pods, 0);
    const inner = (source: string): Buffer =>
      ipv4Udp({ source, destination: victim.address, sourcePort: 9, destinationPort: 9 });

    // A pod of the second node, truly from there.
    await sendForged(two, one, at(two.pods, 0).identity, inner(at(two.pods, 0).address));
    await until('the honest packet is delivered', () => counted(datapath.forwardCounters())['from overlay'] === 1);
    // A pod of this very node, and one that nobody knows.
    await sendForged(two, one, at(one.pods, 1).identity, inner(at(one.pods, 1).address));
    await sendForged(two, one, 70_000, inner('10.9.9.9'));
    await until('both are refused', () => counted(datapath.dropCounters())['forged tunnel source'] === 2);
    // Nobody may call itself the host.
    await sendForged(two, one, 1, inner(at(two.pods, 0).address));
    await until('the host is refused', () => counted(datapath.dropCounters())['invalid identity'] === 1);
    expect(counted(remote.dropCounters())).toEqual({});
  });

  test('drops what goes to a pod of this node that has no endpoint', async () => {
    await using rig = await makeRig('dtne', 'clsact', 1);
    const [one, two] = rig.nodes;
    const [datapath, remote] = await openBoth(rig);
    await datapath.ipcache.apply({ upsert: [{ prefix: hostPrefix('10.1.0.77'), identity: 65_900, encryptKey: 0 }] });
    await remote.ipcache.apply({
      upsert: [{ prefix: hostPrefix('10.1.0.77'), identity: 65_900, encryptKey: 0, tunnelEndpoint: one.address }],
    });
    for (const pod of [at(one.pods, 0), at(two.pods, 0)])
      await expect(ask(pod, '10.1.0.77', 80, { timeoutMs: 100 })).rejects.toThrow('No answer');
    await until('both are counted', () => (counted(datapath.dropCounters())['unknown endpoint'] ?? 0) >= 2);
  });

  test('carries the identity of the sender in the VNI', async () => {
    await using rig = await makeRig('dtid', 'clsact', 1);
    const [one, two] = rig.nodes;
    const [datapath] = await openBoth(rig);
    // The second node's underlay port takes the place of its overlay device: what arrives is read as UDP.
    await two.kernel.network.deleteLink('isth0');
    const socket = createSocket('udp4');
    const fd = runInNamespace(two.namespace, () => udpBindFd(two.namespace, { address: two.address, port: 8472 }));
    const arrived = new Promise<Buffer>((resolve) => socket.once('message', resolve));
    await new Promise<void>((resolve) => {
      socket.once('listening', resolve);
      socket.bind({ fd, exclusive: true });
    });
    await expect(ask(at(one.pods, 0), at(two.pods, 0).address, 80, { timeoutMs: 100 })).rejects.toThrow('No answer');
    const packet = await arrived;
    socket.close();
    expect(packet.readUIntBE(4, 3)).toBe(at(one.pods, 0).identity);
    expect(packet.subarray(8 + 14 + 12, 8 + 14 + 20).join('.')).toBe('10.1.0.1.10.2.0.1');
    expect(counted(datapath.dropCounters())).toEqual({});
  });
});

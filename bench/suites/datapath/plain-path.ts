import { hostPrefix, parsePrefix } from '../../../values/ip/index.ts';
import { type Node, type Rig, at } from '../../../test/integration/datapath/rig.ts';

/**
 * The fair comparison: between the same pod namespaces a second pair of devices, IP forwarding in the nodes and a plain
 * kernel VXLAN device between them, without eBPF. Returns the first pod's peer's second address.
 */
export async function plainPath(rig: Rig): Promise<{ readonly address: string }> {
  const [one, two] = rig.nodes;
  const macs = [await plainDevice(one, two, 1), await plainDevice(two, one, 2)] as const;
  await route(one, 1, 2, macs[1]);
  await route(two, 2, 1, macs[0]);
  return { address: '10.12.0.1' };
}

async function plainDevice(node: Node, other: Node, number: number): Promise<string> {
  const { network } = node.kernel;
  const device = await network.createLink({
    kind: 'vxlan',
    name: 'plain0',
    port: 4789,
    vni: 42,
    remote: other.address,
    local: node.address,
    mtu: 1450,
    up: true,
  });
  await network.addAddress({ link: device.index, address: `10.99.0.${number}`, length: 24 });
  return (await network.link('plain0'))?.mac ?? '';
}

async function route(node: Node, number: number, otherNumber: number, otherMac: string): Promise<void> {
  const { network } = node.kernel;
  const pod = at(node.pods, 0);
  const mac = `02:00:00:0${number}:02:01`;
  const nodeMac = `02:00:00:0${number}:03:01`;
  const host = await network.createLink({
    kind: 'veth',
    name: 'plain1',
    mac: nodeMac,
    up: true,
    peer: { name: 'eth1', mac, netns: pod.namespace.fd, mtu: 1450 },
  });
  const plain = await network.link('plain0');
  const inside = await pod.kernel.network.link('eth1');
  if (!plain || !inside) throw new Error('The plain path has lost a device');
  await pod.kernel.network.changeLink(inside.index, { up: true });
  await pod.kernel.network.addAddress({ link: inside.index, address: `10.1${number}.0.1`, length: 32 });
  await pod.kernel.network.replaceRoutes([
    { destination: hostPrefix('169.254.3.1'), link: inside.index, scope: 'link' },
    {
      destination: parsePrefix(`10.1${otherNumber}.0.0/24`),
      link: inside.index,
      gateway: '169.254.3.1',
      source: `10.1${number}.0.1`,
    },
  ]);
  await pod.kernel.network.replaceNeighbours([{ link: inside.index, address: '169.254.3.1', mac: nodeMac }]);
  await network.replaceRoutes([
    { destination: hostPrefix(`10.1${number}.0.1`), link: host.index, scope: 'link' },
    { destination: parsePrefix(`10.1${otherNumber}.0.0/24`), link: plain.index, gateway: `10.99.0.${otherNumber}` },
  ]);
  await network.replaceNeighbours([
    { link: host.index, address: `10.1${number}.0.1`, mac },
    { link: plain.index, address: `10.99.0.${otherNumber}`, mac: otherMac },
  ]);
}

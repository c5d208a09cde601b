import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Datapath, type DatapathOptions, openDatapath } from '../../../datapath/index.ts';
import {
  type LinuxKernel,
  type NamespaceHandle,
  createCgroup,
  createNamespace,
  deleteNamespace,
  mountBpffs,
  openLinuxKernel,
  removeCgroup,
  unmountBpffs,
} from '../../../kernel/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { reconcileOverlay } from '../../../tunnel/index.ts';
import { hostPrefix, parsePrefix } from '../../../values/ip/index.ts';

export type TcMode = 'tcx' | 'clsact';

/** A pod: a namespace behind a veth whose host end is in its node's namespace. */
export interface Pod {
  readonly namespace: NamespaceHandle;
  readonly kernel: LinuxKernel;
  readonly address: string;
  readonly identity: number;
  /** Index of the host end. */
  readonly link: number;
  readonly mac: string;
  readonly nodeMac: string;
}

export interface Node {
  readonly name: string;
  readonly namespace: NamespaceHandle;
  readonly kernel: LinuxKernel;
  readonly address: string;
  readonly overlayLink: number;
  readonly cgroup: string;
  readonly pinDirectory: string;
  readonly pods: readonly Pod[];
}

/** Two nodes in two subnets with a router between them, and pods: 10.1.0.N on the first, 10.2.0.N on the second. */
export interface Rig extends AsyncDisposable {
  readonly router: {
    readonly namespace: NamespaceHandle;
    readonly kernel: LinuxKernel;
    readonly links: readonly number[];
  };
  readonly nodes: readonly [Node, Node];
  /** Opens a node's datapath; open ones are closed with the rig. */
  open(node: Node, options?: Partial<DatapathOptions>): Promise<Datapath>;
}

const overlay = { protocol: 'vxlan', name: 'isth0', port: 8472, mtu: 1450 } as const;
let rigs = 0;

/** Everything carries `name` and this process's id; disposing of the rig removes all of it. */
export async function makeRig(name: string, tcMode: TcMode, podsPerNode = 2): Promise<Rig> {
  const prefix = `${name}${process.pid}x${++rigs}`;
  const stack = new AsyncDisposableStack();
  try {
    const space = async (part: string): Promise<{ namespace: NamespaceHandle; kernel: LinuxKernel }> => {
      const namespace = createNamespace(`${prefix}-${part}`);
      stack.defer(() => {
        namespace[Symbol.dispose]();
        deleteNamespace(namespace.name);
      });
      const kernel = stack.use(await openLinuxKernel({ netns: namespace, tcMode }));
      const lo = await kernel.network.link('lo');
      if (lo) await kernel.network.changeLink(lo.index, { up: true });
      return { namespace, kernel };
    };
    const directory = mkdtempSync(join(tmpdir(), `${prefix}-`));
    stack.defer(() => rmSync(directory, { recursive: true, force: true }));

    const router = await space('router');
    await router.kernel.network.setSysctl('ipv4/ip_forward', '1');
    const links: number[] = [];
    const makeNode = async (number: 1 | 2): Promise<Node> => {
      const { namespace, kernel } = await space(`n${number}`);
      const address = `172.30.${number}.2`;
      const port = await router.kernel.network.createLink({
        kind: 'veth',
        name: `r${number}`,
        up: true,
        peer: { name: 'eth0', netns: namespace.fd },
      });
      links.push(port.index);
      await router.kernel.network.addAddress({ link: port.index, address: `172.30.${number}.1`, length: 24 });
      const eth0 = await linkOf(kernel, 'eth0');
      await kernel.network.changeLink(eth0, { up: true });
      await kernel.network.addAddress({ link: eth0, address, length: 24 });
      await kernel.network.replaceRoutes([
        { destination: parsePrefix('0.0.0.0/0'), link: eth0, gateway: `172.30.${number}.1` },
      ]);
      await kernel.network.setSysctl('ipv4/ip_forward', '1');
      const device = await reconcileOverlay(kernel.network, overlay);
      const pinDirectory = join(directory, `bpf${number}`);
      mountBpffs(pinDirectory);
      stack.defer(() => void unmountBpffs(pinDirectory));
      const cgroup = createCgroup(`${prefix}-n${number}`);
      stack.defer(async () => void (await removeCgroup(cgroup)));
      const pods: Pod[] = [];
      for (let i = 1; i <= podsPerNode; i++) pods.push(await makePod(kernel, number, i));
      return { name: `n${number}`, namespace, kernel, address, overlayLink: device.index, cgroup, pinDirectory, pods };
    };
    const makePod = async (node: LinuxKernel, number: number, i: number): Promise<Pod> => {
      const { namespace, kernel } = await space(`n${number}p${i}`);
      const mac = `02:00:00:0${number}:00:0${i}`;
      const nodeMac = `02:00:00:0${number}:01:0${i}`;
      const address = `10.${number}.0.${i}`;
      const host = await node.network.createLink({
        kind: 'veth',
        name: `lxc${i}`,
        mac: nodeMac,
        up: true,
        peer: { name: 'eth0', mac, netns: namespace.fd, mtu: 1450 },
      });
      const eth0 = await linkOf(kernel, 'eth0');
      // Its router solicitations would be counted as drops.
      await kernel.network.setSysctl('ipv6/conf/eth0/disable_ipv6', '1');
      await kernel.network.changeLink(eth0, { up: true });
      await kernel.network.addAddress({ link: eth0, address, length: 32 });
      await kernel.network.replaceRoutes([
        { destination: hostPrefix('169.254.1.1'), link: eth0, scope: 'link' },
        { destination: parsePrefix('0.0.0.0/0'), link: eth0, gateway: '169.254.1.1' },
      ]);
      await kernel.network.replaceNeighbours([{ link: eth0, address: '169.254.1.1', mac: nodeMac }]);
      return { namespace, kernel, address, identity: number * 65536 + 256 + i, link: host.index, mac, nodeMac };
    };
    const nodes = [await makeNode(1), await makeNode(2)] as const;
    const open = async (node: Node, options: Partial<DatapathOptions> = {}): Promise<Datapath> =>
      stack.use(await openDatapath({ ...datapathOptions(node), ...options }));
    return { router: { ...router, links }, nodes, open, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

export function datapathOptions(node: Node): DatapathOptions {
  return {
    kernel: node.kernel,
    log: silentLogger,
    pinDirectory: node.pinDirectory,
    cgroup: node.cgroup,
    overlayLink: node.overlayLink,
    nodeAddress: node.address,
  };
}

/** Tells a datapath about its own pods and those of the other node, and attaches its programs. */
export async function introduce(datapath: Datapath, own: Node, other: Node): Promise<void> {
  await datapath.endpoints.apply({
    upsert: [
      { address: own.address, link: 0, endpointId: 0, mac: '', nodeMac: '', identity: 1, host: true },
      ...own.pods.map((pod, i) => ({ ...pod, endpointId: i + 1 })),
    ],
  });
  await datapath.ipcache.apply({
    upsert: [
      ...own.pods.map(({ address, identity }) => ({ prefix: hostPrefix(address), identity, encryptKey: 0 })),
      ...other.pods.map(({ address, identity }) => ({
        prefix: hostPrefix(address),
        identity,
        encryptKey: 0,
        tunnelEndpoint: other.address,
      })),
    ],
  });
  for (const pod of own.pods) await datapath.attachEndpoint(pod.link);
}

/** Both nodes' datapaths, knowing all pods. */
export async function openBoth(rig: Rig): Promise<readonly [Datapath, Datapath]> {
  const [one, two] = rig.nodes;
  const datapaths = [await rig.open(one), await rig.open(two)] as const;
  await introduce(datapaths[0], one, two);
  await introduce(datapaths[1], two, one);
  return datapaths;
}

/** Counters that are not zero, by name. */
export function counted(
  counters: readonly { readonly name: string; readonly packets: number }[],
): Readonly<Record<string, number>> {
  return Object.fromEntries(counters.filter(({ packets }) => packets > 0).map(({ name, packets }) => [name, packets]));
}

/** The element of a list that a test knows to be there. */
export function at<T>(list: readonly T[], index: number): T {
  const element = list[index];
  if (element === undefined) throw new RangeError(`Nothing at ${index} of ${list.length}`);
  return element;
}

async function linkOf(kernel: LinuxKernel, name: string): Promise<number> {
  const link = await kernel.network.link(name);
  if (!link) throw new Error(`No device ${name}`);
  return link.index;
}

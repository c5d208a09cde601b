import { type Kernel, type NamespaceHandle, createNamespace, openLinuxKernel } from '../../kernel/index.ts';
import { hostPrefix, parsePrefix } from '../../values/ip/index.ts';
import type { PlacedPod } from '../scheduler/index.ts';
import { type MemberPlan, type NetworkPlan, type PodWire, type SitePlan, membersOf } from './plan.ts';

const underlayMtu = 1500;
/** Underlay MTU less the VXLAN overhead over IPv4. */
export const podMtu = 1450;
/** What a pod sends everything to; no device has it, the pod's static neighbour entry answers for it. */
const podGateway = '169.254.1.1';
const everywhere = parsePrefix('0.0.0.0/0');

/** A namespace of the lab with its kernel ports. */
export interface LabNamespace extends AsyncDisposable {
  readonly handle: NamespaceHandle;
  readonly kernel: Kernel;
}

/** Makes a namespace with `lo` up and the sysctls that every member of a lab has, before any device appears in it. */
export async function makeNamespace(name: string, forwarding: boolean): Promise<LabNamespace> {
  const handle = createNamespace(name);
  const kernel = await openLinuxKernel({ netns: handle });
  for (const scope of ['all', 'default']) {
    await kernel.network.setSysctl(`ipv6/conf/${scope}/accept_dad`, '0');
    await kernel.network.setSysctl(`ipv4/conf/${scope}/rp_filter`, '0');
  }
  if (forwarding) await kernel.network.setSysctl('ipv4/ip_forward', '1');
  // Pods have IPv4 only: their kernel's own router solicitations would count as dropped packets.
  else await kernel.network.setSysctl('ipv6/conf/all/disable_ipv6', '1');
  const loopback = await kernel.network.link('lo');
  if (loopback) await kernel.network.changeLink(loopback.index, { up: true });
  return {
    handle,
    kernel,
    [Symbol.asyncDispose]: async () => {
      await kernel[Symbol.asyncDispose]();
      handle[Symbol.dispose]();
    },
  };
}

/** Makes the router's bridge of one site. */
export async function buildBridge(router: LabNamespace, site: SitePlan): Promise<void> {
  const { network } = router.kernel;
  const bridge = await network.createLink({
    kind: 'bridge',
    name: site.bridge,
    mac: site.bridgeMac,
    mtu: underlayMtu,
    up: true,
  });
  await network.addAddress({ link: bridge.index, address: site.gateway, length: site.cluster.underlayCidr.length });
}

/** Connects a member to its site's bridge, with address and default route. */
export async function connectMember(
  router: LabNamespace,
  member: LabNamespace,
  site: SitePlan,
  plan: MemberPlan,
): Promise<void> {
  const bridge = await router.kernel.network.link(site.bridge);
  await router.kernel.network.createLink({
    kind: 'veth',
    name: plan.port,
    mac: plan.portMac,
    mtu: underlayMtu,
    up: true,
    ...(bridge ? { master: bridge.index } : {}),
    peer: { name: 'eth0', mac: plan.mac, mtu: underlayMtu, netns: member.handle.fd },
  });
  const { network } = member.kernel;
  const eth0 = await linkNamed(member, 'eth0');
  await network.changeLink(eth0, { up: true });
  await network.addAddress({ link: eth0, address: plan.address, length: site.cluster.underlayCidr.length });
  await network.replaceRoutes([{ destination: everywhere, link: eth0, gateway: site.gateway }]);
}

/** Makes a pod's veth between its node and its own namespace: the work of a CNI plug-in. */
export async function connectPod(
  node: LabNamespace,
  pod: LabNamespace,
  placed: PlacedPod,
  wire: PodWire,
): Promise<void> {
  await node.kernel.network.createLink({
    kind: 'veth',
    name: wire.hostDevice,
    mac: wire.hostMac,
    mtu: underlayMtu,
    up: true,
    peer: { name: 'eth0', mac: wire.mac, mtu: podMtu, netns: pod.handle.fd },
  });
  const { network } = pod.kernel;
  const eth0 = await linkNamed(pod, 'eth0');
  await network.changeLink(eth0, { up: true });
  await network.addAddress({ link: eth0, address: placed.ip, length: 32 });
  await network.replaceNeighbours([{ link: eth0, address: podGateway, mac: wire.hostMac }]);
  await network.replaceRoutes([{ destination: hostPrefix(podGateway), link: eth0, scope: 'link' }]);
  await network.replaceRoutes([{ destination: everywhere, link: eth0, gateway: podGateway }]);
  const host = await linkNamed(node, wire.hostDevice);
  await node.kernel.network.replaceRoutes([{ destination: hostPrefix(placed.ip), link: host, scope: 'link' }]);
}

/** Names of all namespaces that a plan makes, pods aside. */
export function plannedNamespaces(plan: NetworkPlan): string[] {
  return [plan.router, ...plan.sites.flatMap((site) => membersOf(site).map((member) => member.netns))];
}

async function linkNamed(namespace: LabNamespace, name: string): Promise<number> {
  const link = await namespace.kernel.network.link(name);
  if (!link) throw new Error(`Namespace ${namespace.handle.name} has no device ${name}`);
  return link.index;
}

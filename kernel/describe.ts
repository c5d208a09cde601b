import { formatPrefix } from '../values/ip/index.ts';
import type { BpfHook, BpfMap, InterfaceAddress, Link, Neighbour, NetworkPort, Route } from './ports/index.ts';

/** A program at its hook. */
export interface ShownProgram {
  readonly program: string;
  readonly hook: BpfHook;
  readonly pinName?: string;
}

/**
 * State of a kernel as sorted lines in the manner of `ip -o link`, `ip address`, `ip route`, `ip neigh`, `bridge link`, `bridge fdb`,
 * `tc` and `bpftool map dump`. What the kernel makes for IPv6 by itself (link-local addresses and their routes) is left
 * out, since it comes and goes in its own time. `forwarding` is what a kernel can say of the forwarding databases of its
 * devices, as `bridge fdb` lines without their first words.
 */
export async function describeState(
  network: NetworkPort,
  programs: readonly ShownProgram[],
  maps: readonly BpfMap[],
  forwarding: readonly string[] = [],
): Promise<string> {
  const links = await network.links();
  const names = new Map(links.map((link) => [link.index, link.name]));
  const nameOf = (index: number): string => names.get(index) ?? `if${index}`;
  const addresses = (await network.addresses()).filter(({ address }) => !isAutomatic(address));
  const routes = (await network.routes()).filter(({ destination }) => !isAutomatic(destination.address));
  const lines = [
    links.map((link) => linkLine(link, nameOf)),
    addresses.map((address) => addressLine(address, nameOf)),
    routes.map((route) => routeLine(route, nameOf)),
    (await network.neighbours()).map((neighbour) => neighbourLine(neighbour, nameOf)),
    links.filter((link) => link.master !== 0).map((link) => `bridge link ${link.name} master ${nameOf(link.master)}`),
    forwarding.map((line) => `bridge fdb ${line}`),
    // A program went with its device.
    programs
      .filter(({ hook }) => hook.type !== 'tc' || names.has(hook.link))
      .map((program) => programLine(program, nameOf)),
    (await Promise.all(maps.map(mapLines))).flat(),
  ];
  return lines.flatMap((group) => group.toSorted()).join('\n');
}

function linkLine(link: Link, nameOf: (index: number) => string): string {
  const vxlan = link.vxlan
    ? link.vxlan.collectMetadata
      ? ` external dstport ${link.vxlan.port}`
      : ` id ${link.vxlan.vni} dstport ${link.vxlan.port}`
    : '';
  return [
    `link ${link.name}: index ${link.index} mtu ${link.mtu} state ${link.up ? 'up' : 'down'}`,
    link.master === 0 ? '' : ` master ${nameOf(link.master)}`,
    link.kind === '' ? '' : ` ${link.kind}${vxlan}`,
    link.mac === '' ? '' : ` lladdr ${link.mac}`,
  ].join('');
}

function addressLine(address: InterfaceAddress, nameOf: (index: number) => string): string {
  return `address ${address.address}/${address.length} dev ${nameOf(address.link)}`;
}

function routeLine(route: Route, nameOf: (index: number) => string): string {
  return [
    `route ${route.destination.length === 0 ? 'default' : formatPrefix(route.destination)}`,
    route.gateway === undefined ? '' : ` via ${route.gateway}`,
    ` dev ${nameOf(route.link)} proto ${route.protocol ?? 0}`,
    route.scope === 'link' ? ' scope link' : '',
    route.source === undefined ? '' : ` src ${route.source}`,
    route.mtu === undefined ? '' : ` mtu ${route.mtu}`,
  ].join('');
}

function neighbourLine(neighbour: Neighbour, nameOf: (index: number) => string): string {
  return `neigh ${neighbour.address} dev ${nameOf(neighbour.link)} lladdr ${neighbour.mac} permanent`;
}

function programLine({ program, hook, pinName }: ShownProgram, nameOf: (index: number) => string): string {
  const at =
    hook.type === 'tc' ? `tc ${hook.direction} dev ${nameOf(hook.link)}` : `cgroup ${hook.attach} ${hook.path}`;
  return `program ${program} ${at}${pinName === undefined ? '' : ` pinned ${pinName}`}`;
}

/** Entries of one map that are printed. */
const shownEntries = 1000;

/** One line for the map and one for each entry, as far as they are few; of an array those that are not all zero. */
async function mapLines(map: BpfMap): Promise<string[]> {
  const { name, type, keySize, valueSize, maxEntries } = map.spec;
  let entries = 0;
  const isArray = type === 'array' || type === 'percpu-array';
  const lines = [`map ${name}: ${type} key ${keySize}B value ${valueSize}B max_entries ${maxEntries}`];
  await map.dump((key, value) => {
    if (isArray && value.every((byte) => byte === 0)) return;
    entries++;
    if (entries <= shownEntries)
      lines.push(`map ${name} ${Buffer.from(key).toString('hex')} => ${Buffer.from(value).toString('hex')}`);
  });
  if (entries > shownEntries) lines.push(`map ${name} … and ${entries - shownEntries} more`);
  return lines;
}

function isAutomatic(address: string): boolean {
  return address === '::1' || address.startsWith('fe80:') || address.startsWith('ff00:');
}

import type { InterfaceAddress, Link, LinkSpec, Neighbour, NetworkPort, Route } from '../ports/index.ts';
import { errnos, kernelError } from '../abi/index.ts';
import { checkLinkName, isSameDevice } from '../link-rules.ts';
import { isthmusProtocol, mainTable } from '../netlink/index.ts';
import { RoutingState } from './routing-state.ts';

export interface MemoryNetworkOptions {
  /** The namespace behind a descriptor given as veth peer; absent: the peer goes where nobody sees it. */
  readonly namespaceOf?: (fd: number) => MemoryNetwork | undefined;
  readonly linkDeleted?: (index: number) => void;
}

/** rtnetlink of a namespace that exists in memory only, with the refusals and the side effects that drivers can observe. */
export class MemoryNetwork implements NetworkPort {
  readonly protocol = isthmusProtocol;
  readonly #options: MemoryNetworkOptions;
  readonly #links = new Map<number, Link>();
  readonly #peers = new Map<number, { readonly network: MemoryNetwork; readonly index: number }>();
  readonly #state = new RoutingState();
  readonly #sysctls = new Map<string, string>();
  #nextIndex = 2;

  constructor(options: MemoryNetworkOptions = {}) {
    this.#options = options;
    const lo = { name: 'lo', index: 1, kind: '', mtu: 65536, up: false, mac: '00:00:00:00:00:00', master: 0 };
    this.#links.set(1, lo);
  }

  hasLink(index: number): boolean {
    return this.#links.has(index);
  }

  async links(): Promise<readonly Link[]> {
    return [...this.#links.values()].toSorted((a, b) => a.index - b.index);
  }

  async link(name: string): Promise<Link | undefined> {
    checkLinkName(name);
    return this.#byName(name);
  }

  async createLink(spec: LinkSpec): Promise<Link> {
    checkLinkName(spec.name);
    const existing = this.#byName(spec.name);
    if (existing && isSameDevice(existing, spec)) return existing;
    const peerNetwork = spec.kind === 'veth' ? this.#peerNetwork(spec.peer.netns) : undefined;
    const operation = `Cannot create link ${spec.name}`;
    this.#checkFree(operation, spec.name, spec.index);
    if (spec.kind === 'veth' && peerNetwork) peerNetwork.#checkFree(operation, spec.peer.name, spec.peer.index);
    if (spec.kind === 'vxlan') this.#checkVni(operation, spec.port, spec.vni);
    this.#checkMaster(operation, spec.master);
    const link = this.#add(newLink(spec), spec.index);
    if (spec.kind === 'veth' && peerNetwork) this.#addPeer(link, spec, peerNetwork);
    return this.#raised(link, spec.up);
  }

  async changeLink(index: number, change: Parameters<NetworkPort['changeLink']>[1]): Promise<void> {
    const operation = `Cannot change link ${index}`;
    const link = this.#links.get(index);
    if (!link) throw kernelError(operation, errnos.ENODEV);
    if (change.mtu !== undefined && change.mtu < 68) throw kernelError(operation, errnos.EINVAL);
    if (change.name !== undefined && change.name !== link.name) {
      checkLinkName(change.name);
      if (this.#byName(change.name)) throw kernelError(operation, errnos.EEXIST);
    }
    this.#checkMaster(operation, change.master);
    const { up, ...rest } = change;
    const changed = { ...link, ...rest };
    this.#links.set(index, changed);
    if (up !== undefined) this.#raised(changed, up);
  }

  async deleteLink(name: string): Promise<boolean> {
    checkLinkName(name);
    const link = this.#byName(name);
    if (!link) return false;
    if (link.index === 1) throw kernelError(`Cannot delete link ${name}`, errnos.EOPNOTSUPP);
    const peer = this.#peers.get(link.index);
    this.#remove(link.index);
    if (peer) peer.network.#remove(peer.index);
    return true;
  }

  /**
   * Forwarding databases in the manner of `bridge fdb`. A kernel makes an entry for a fixed remote; a collect-metadata device
   * starts without, and this port adds none.
   */
  forwarding(): readonly string[] {
    return [...this.#links.values()]
      .filter(({ vxlan }) => vxlan?.collectMetadata)
      .map(({ name }) => `dev ${name} no entries (external: each packet brings its tunnel endpoint, from the ipcache)`);
  }

  async addresses(): Promise<readonly InterfaceAddress[]> {
    return this.#state.addresses;
  }

  async addAddress(address: InterfaceAddress): Promise<void> {
    const operation = `Cannot add address ${address.address}/${address.length} dev ${address.link}`;
    const link = this.#links.get(address.link);
    if (!link) throw kernelError(operation, errnos.ENODEV);
    if (address.length < 0 || address.length > (address.address.includes(':') ? 128 : 32))
      throw kernelError(operation, errnos.EINVAL);
    this.#state.addAddress(address, link.up);
  }

  async removeAddress(address: InterfaceAddress): Promise<void> {
    this.#state.removeAddress(address);
  }

  async routes(filter: { readonly table?: number; readonly protocol?: number } = {}): Promise<readonly Route[]> {
    const table = filter.table ?? mainTable;
    return this.#state.routes.filter(
      (route) => route.table === table && (filter.protocol === undefined || route.protocol === filter.protocol),
    );
  }

  async replaceRoutes(routes: readonly Route[]): Promise<void> {
    this.#each(routes, (route) => this.#state.replaceRoute(route, this.#links.get(route.link)));
  }

  async removeRoutes(routes: readonly Route[]): Promise<void> {
    for (const route of routes) this.#state.removeRoute(route);
  }

  async neighbours(): Promise<readonly Neighbour[]> {
    return this.#state.neighbours;
  }

  async replaceNeighbours(neighbours: readonly Neighbour[]): Promise<void> {
    this.#each(neighbours, (neighbour) => {
      if (!this.#links.has(neighbour.link))
        throw kernelError(`Cannot set neighbour ${neighbour.address} dev ${neighbour.link}`, errnos.ENODEV);
      this.#state.replaceNeighbour(neighbour);
    });
  }

  async removeNeighbours(neighbours: readonly Pick<Neighbour, 'link' | 'address'>[]): Promise<void> {
    for (const neighbour of neighbours) this.#state.removeNeighbour(neighbour);
  }

  async setSysctl(path: string, value: string): Promise<void> {
    this.#sysctls.set(path, value);
  }

  /** What was set through {@link setSysctl}, by path as given. */
  sysctl(path: string): string | undefined {
    return this.#sysctls.get(path);
  }

  /** Does all that can be done, then throws the first refusal: a batch of netlink messages behaves so. */
  #each<T>(items: readonly T[], act: (item: T) => void): void {
    let first: unknown;
    for (const item of items) {
      try {
        act(item);
      } catch (error) {
        first ??= error;
      }
    }
    if (first !== undefined) throw first;
  }

  #add(link: NewLink, index: number | undefined): Link {
    const number = index ?? this.#freeIndex();
    this.#nextIndex = Math.max(this.#nextIndex, number + 1);
    const added: Link = {
      name: link.name,
      index: number,
      kind: link.kind,
      mtu: link.mtu,
      up: false,
      mac: link.mac ?? `02:00:00:00:${(number >> 8).toString(16).padStart(2, '0')}:${hexByte(number)}`,
      master: link.master ?? 0,
      ...(link.vxlan ? { vxlan: link.vxlan } : {}),
    };
    this.#links.set(number, added);
    return added;
  }

  #addPeer(link: Link, spec: LinkSpec & { readonly kind: 'veth' }, network: MemoryNetwork): void {
    const { name, mac, mtu = 1500, index } = spec.peer;
    const peer = network.#add({ name, kind: 'veth', mtu, mac }, index);
    this.#peers.set(link.index, { network, index: peer.index });
    network.#peers.set(peer.index, { network: this, index: link.index });
  }

  #raised(link: Link, up: boolean | undefined): Link {
    if (up === undefined || up === link.up) return link;
    const changed = { ...link, up };
    this.#links.set(link.index, changed);
    if (up) this.#state.linkUp(link.index);
    else this.#state.linkDown(link.index);
    return changed;
  }

  #remove(index: number): void {
    this.#links.delete(index);
    this.#peers.delete(index);
    this.#state.linkGone(index);
    for (const link of this.#links.values())
      if (link.master === index) this.#links.set(link.index, { ...link, master: 0 });
    this.#options.linkDeleted?.(index);
  }

  #peerNetwork(fd: number | undefined): MemoryNetwork | undefined {
    return fd === undefined ? this : this.#options.namespaceOf?.(fd);
  }

  #byName(name: string): Link | undefined {
    return [...this.#links.values()].find((link) => link.name === name);
  }

  #freeIndex(): number {
    while (this.#links.has(this.#nextIndex)) this.#nextIndex++;
    return this.#nextIndex;
  }

  #checkFree(operation: string, name: string, index: number | undefined): void {
    if (this.#byName(name) || (index !== undefined && this.#links.has(index)))
      throw kernelError(operation, errnos.EEXIST);
  }

  /** Two devices cannot receive the same VNI on one port; a collect-metadata one receives what no other takes. */
  #checkVni(operation: string, port: number, vni: number | undefined): void {
    for (const { vxlan } of this.#links.values())
      if (vxlan?.port === port && vxlan.collectMetadata === (vni === undefined) && vxlan.vni === (vni ?? 0))
        throw kernelError(operation, errnos.EEXIST);
  }

  #checkMaster(operation: string, master: number | undefined): void {
    if (!master) return;
    const link = this.#links.get(master);
    if (!link) throw kernelError(operation, errnos.EINVAL);
    if (link.kind !== 'bridge') throw kernelError(operation, errnos.EOPNOTSUPP);
  }
}

interface NewLink {
  readonly name: string;
  readonly kind: string;
  readonly mtu: number;
  readonly mac: string | undefined;
  readonly master?: number;
  readonly vxlan?: NonNullable<Link['vxlan']>;
}

function newLink(spec: LinkSpec): NewLink {
  return {
    name: spec.name,
    kind: spec.kind,
    mtu: spec.mtu ?? 1500,
    mac: spec.mac,
    ...(spec.master === undefined ? {} : { master: spec.master }),
    ...(spec.kind === 'vxlan'
      ? { vxlan: { collectMetadata: spec.vni === undefined, port: spec.port, vni: spec.vni ?? 0 } }
      : {}),
  };
}

function hexByte(value: number): string {
  return (value & 255).toString(16).padStart(2, '0');
}

import type { InterfaceAddress, Link, Neighbour, Route } from '../ports/index.ts';
import { containsIp, formatPrefix, ipToBytes, parsePrefix } from '../../values/ip/index.ts';
import { errnos, kernelError } from '../abi/index.ts';
import { isthmusProtocol, mainTable } from '../netlink/index.ts';
import { RouteList } from './route-list.ts';

/** RTPROT_KERNEL: routes that come with an address. */
const kernelProtocol = 2;
const loopback = 1;

/** Addresses, routes and static neighbours of a namespace, and what they do to one another in the kernel. */
export class RoutingState {
  #addresses: InterfaceAddress[] = [];
  readonly #routes = new RouteList();
  #neighbours: Neighbour[] = [];

  get addresses(): readonly InterfaceAddress[] {
    return this.#addresses;
  }

  get routes(): readonly Route[] {
    return [...this.#routes];
  }

  get neighbours(): readonly Neighbour[] {
    return this.#neighbours;
  }

  addAddress(address: InterfaceAddress, up: boolean): void {
    if (this.#addresses.some((other) => sameAddress(other, address))) return;
    this.#addresses.push(address);
    if (up) this.#connect(address);
  }

  /** Takes the route to the address's network along, and routes that send from it. */
  removeAddress(address: InterfaceAddress): void {
    if (!this.#addresses.some((other) => sameAddress(other, address))) return;
    this.#addresses = this.#addresses.filter((other) => !sameAddress(other, address));
    const network = formatPrefix(networkOf(address));
    const shared = this.#addresses.some(
      (other) => other.link === address.link && formatPrefix(networkOf(other)) === network,
    );
    const stillOurs = this.#addresses.some((other) => other.address === address.address);
    this.#routes.deleteWhere((route) => {
      const connected = route.protocol === kernelProtocol && route.link === address.link;
      if (connected && !shared && formatPrefix(route.destination) === network) return true;
      return !stillOurs && route.source === address.address;
    });
  }

  /** @throws {KernelError} as the kernel refuses: no device, device down, unknown source, unreachable gateway. */
  replaceRoute(route: Route, link: Link | undefined): void {
    const complete = completed(route);
    const refused = this.#refusal(route, link);
    if (refused !== 0) {
      const via = route.gateway === undefined ? '' : ` via ${route.gateway}`;
      throw kernelError(`Cannot set route ${formatPrefix(route.destination)}${via} dev ${route.link}`, refused);
    }
    this.#routes.replace(complete);
  }

  removeRoute(route: Route): void {
    const found = this.#routes
      .to(completed(route))
      .find(
        (other) =>
          other.link === route.link &&
          (route.gateway === undefined || other.gateway === route.gateway) &&
          (route.protocol === undefined || other.protocol === route.protocol),
      );
    if (found) this.#routes.delete(found);
  }

  replaceNeighbour(neighbour: Neighbour): void {
    this.removeNeighbour(neighbour);
    this.#neighbours.push(neighbour);
  }

  removeNeighbour({ link, address }: Pick<Neighbour, 'link' | 'address'>): void {
    this.#neighbours = this.#neighbours.filter((other) => other.link !== link || other.address !== address);
  }

  linkUp(index: number): void {
    if (index === loopback) this.addAddress({ link: loopback, address: '127.0.0.1', length: 8 }, true);
    for (const address of this.#addresses) if (address.link === index) this.#connect(address);
  }

  /** Routes and neighbours go; IPv4 addresses stay, IPv6 ones do not. */
  linkDown(index: number): void {
    this.#routes.deleteWhere((route) => route.link === index);
    this.#neighbours = this.#neighbours.filter((neighbour) => neighbour.link !== index);
    this.#addresses = this.#addresses.filter(({ link, address }) => link !== index || !address.includes(':'));
  }

  linkGone(index: number): void {
    const gone = this.#addresses.filter((address) => address.link === index);
    this.linkDown(index);
    for (const address of gone) this.removeAddress(address);
  }

  #connect(address: InterfaceAddress): void {
    const destination = networkOf(address);
    // What loopback owns is in the local table; an IPv4 host address has no network.
    if (address.link === loopback || (destination.family === 4 && destination.length === 32)) return;
    const common = { destination, link: address.link, table: mainTable, protocol: kernelProtocol } as const;
    const route: Route =
      destination.family === 4 ? { ...common, source: address.address, scope: 'link' } : { ...common, scope: 'global' };
    if (!this.#routes.to(route).some((other) => other.link === route.link)) this.#routes.add(route);
  }

  #refusal(route: Route, link: Link | undefined): number {
    const { gateway, source } = route;
    const reaches = (other: Route, address: string): boolean =>
      other.link === route.link && other.gateway === undefined && containsIp(other.destination, address);
    // The gateway is looked up first: through a device that is absent or down it cannot be reached.
    if (gateway !== undefined && ![...this.#routes.direct()].some((other) => reaches(other, gateway)))
      return route.destination.family === 6 && !link ? errnos.ENODEV : errnos.ENETUNREACH;
    if (!link) return errnos.ENODEV;
    if (!link.up) return errnos.ENETDOWN;
    return source !== undefined && !this.#addresses.some(({ address }) => address === source) ? errnos.EINVAL : 0;
  }
}

function sameAddress(a: InterfaceAddress, b: InterfaceAddress): boolean {
  return a.link === b.link && a.address === b.address && a.length === b.length;
}

function networkOf(address: InterfaceAddress): ReturnType<typeof parsePrefix> {
  const bytes = ipToBytes(address.address);
  return parsePrefix(`${address.address}/${Math.min(address.length, bytes.length * 8)}`, { strict: false });
}

/** A route as the kernel would report it. */
function completed(route: Route): Route {
  const direct = route.gateway === undefined && route.destination.family === 4;
  return {
    ...route,
    table: route.table ?? mainTable,
    protocol: route.protocol ?? isthmusProtocol,
    scope: route.destination.family === 6 ? 'global' : (route.scope ?? (direct ? 'link' : 'global')),
  };
}

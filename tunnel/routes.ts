import type { Link, NetworkPort, Route } from '../kernel/ports/index.ts';
import { type IpAddress, formatPrefix, hostPrefix } from '../values/ip/index.ts';
import type { NodeRoute } from './entry.ts';
import { type RouteChanges, indexRoutes, routeChanges } from './route-plan.ts';

/**
 * Next hop of routes into the overlay. It exists nowhere: a static neighbour answers for it, so that the device, which
 * sends to nobody but whom the eBPF program names, is never asked to resolve an address.
 */
export const overlayGateway: IpAddress = '169.254.2.1';
const gatewayMac = '02:00:a9:fe:02:01';

/**
 * Makes the node's own routes toward pod CIDRs what `desired` says; routes of other protocols are neither read nor
 * touched. Without `prune` routes that nobody desires stay.
 * @throws {RangeError} when a device does not exist. {@link KernelError}
 */
export async function reconcileRoutes(
  network: NetworkPort,
  desired: Iterable<NodeRoute>,
  options: { readonly prune: boolean },
): Promise<RouteChanges> {
  const links = await network.links();
  const names = new Map(links.map((link) => [link.index, link.name]));
  const own = await network.routes({ protocol: network.protocol });
  const plan = routeChanges(
    indexRoutes(desired),
    indexRoutes(own.filter(isNodeRoute).map((route) => nodeRoute(route, names))),
  );
  const changes = options.prune ? plan : { ...plan, remove: [] };
  // Of a removed device the kernel removed the routes itself; its name is then a number.
  const removed = new Set(changes.remove.map((route) => formatPrefix(route.destination)));
  const remove = own.filter((route) => isNodeRoute(route) && removed.has(formatPrefix(route.destination)));
  await apply(network, toRoutes(changes.upsert, network, links), remove);
  return changes;
}

/**
 * Makes single routes what they should be, without looking at the others: for a change, where {@link reconcileRoutes} is
 * the audit. To remove a route that is not there is no error.
 * @throws {RangeError} when a device does not exist. {@link KernelError}
 */
export async function changeRoutes(network: NetworkPort, changes: RouteChanges): Promise<void> {
  const links = await network.links();
  // The routes of a device that has gone went with it.
  const present = changes.remove.filter(({ device }) => links.some(({ name }) => name === device));
  await apply(network, toRoutes(changes.upsert, network, links), toRoutes(present, network, links));
}

async function apply(network: NetworkPort, upsert: readonly Route[], remove: readonly Route[]): Promise<void> {
  for (const link of new Set(upsert.map((route) => route.link))) await makeGateway(network, link);
  if (upsert.length > 0) await network.replaceRoutes(upsert);
  if (remove.length > 0) await network.removeRoutes(remove);
}

function toRoutes(routes: readonly NodeRoute[], network: NetworkPort, links: readonly Link[]): Route[] {
  const indexes = new Map(links.map((link) => [link.name, link.index]));
  return routes.map((route) => {
    const link = indexes.get(route.device);
    if (link === undefined) throw new RangeError(`Device ${route.device} of a route does not exist`);
    return {
      destination: route.destination,
      link,
      gateway: overlayGateway,
      mtu: route.mtu,
      protocol: network.protocol,
      ...(route.source === undefined ? {} : { source: route.source }),
    };
  });
}

async function makeGateway(network: NetworkPort, link: number): Promise<void> {
  await network.replaceNeighbours([{ link, address: overlayGateway, mac: gatewayMac }]);
  await network.replaceRoutes([
    { destination: hostPrefix(overlayGateway), link, scope: 'link', protocol: network.protocol },
  ]);
}

function isNodeRoute(route: Route): boolean {
  return route.gateway === overlayGateway;
}

function nodeRoute(route: Route, names: ReadonlyMap<number, string>): NodeRoute {
  return {
    destination: route.destination,
    device: names.get(route.link) ?? String(route.link),
    mtu: route.mtu ?? 0,
    ...(route.source === undefined ? {} : { source: route.source }),
  };
}

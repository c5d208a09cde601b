import type { Route } from '../ports/index.ts';
import { formatPrefix, ipFromBytes, ipToBytes } from '../../values/ip/index.ts';
import { AF_INET, AF_INET6 } from '../abi/index.ts';
import {
  type Message,
  MessageWriter,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
  attributesOf,
  u32Of,
} from './message.ts';

const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTA = { destination: 1, oif: 4, gateway: 5, preferredSource: 7, metrics: 8, table: 15 } as const;
const RTAX_MTU = 2;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;
const RTM_F_CLONED = 0x200;
const SCOPE_UNIVERSE = 0;
const SCOPE_LINK = 253;
const SCOPE_NOWHERE = 255;

/** RTPROT number of the routes that isthmus owns; none of /etc/iproute2/rt_protos or of the known daemons uses it. */
export const isthmusProtocol = 105;
export const mainTable = 254;

export function routeDump(): MessageWriter {
  return new MessageWriter(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP).header(Buffer.alloc(12));
}

export function routeReplacement(route: Route): MessageWriter {
  const gateway = route.gateway !== undefined;
  // A route without gateway reaches its destination on the link itself, and says so (as `ip route add` does).
  const scope = route.scope ?? (gateway || route.destination.family === 6 ? 'global' : 'link');
  const message = routeMessage(
    RTM_NEWROUTE,
    NLM_F_CREATE | NLM_F_REPLACE,
    route,
    route.protocol ?? isthmusProtocol,
    scope === 'link' ? SCOPE_LINK : SCOPE_UNIVERSE,
    RTN_UNICAST,
  );
  if (route.gateway !== undefined) message.attribute(RTA.gateway, ipToBytes(route.gateway));
  if (route.source !== undefined) message.attribute(RTA.preferredSource, ipToBytes(route.source));
  const mtu = route.mtu;
  if (mtu !== undefined) message.nest(RTA.metrics, (metrics) => metrics.u32(RTAX_MTU, mtu));
  return message;
}

/** Removes the route of that destination, link and table (and gateway, protocol where given), whatever its scope. */
export function routeRemoval(route: Route): MessageWriter {
  const message = routeMessage(RTM_DELROUTE, 0, route, route.protocol ?? 0, SCOPE_NOWHERE, 0);
  if (route.gateway !== undefined) message.attribute(RTA.gateway, ipToBytes(route.gateway));
  return message;
}

/** A unicast route; undefined for multicast, broadcast, cached and multipath ones. */
export function routeOf(message: Message): Route | undefined {
  if (message.type !== RTM_NEWROUTE) return undefined;
  const family = message.body.readUInt8(0);
  const kind = message.body.readUInt8(7);
  const cloned = (message.body.readUInt32LE(8) & RTM_F_CLONED) !== 0;
  if ((family !== AF_INET && family !== AF_INET6) || (kind !== RTN_UNICAST && kind !== RTN_LOCAL) || cloned)
    return undefined;
  const attributes = attributesOf(message.body.subarray(12));
  const oif = attributes.get(RTA.oif);
  if (!oif) return undefined;
  const gateway = attributes.get(RTA.gateway);
  const source = attributes.get(RTA.preferredSource);
  const mtu = u32Of(attributesOf(attributes.get(RTA.metrics) ?? Buffer.alloc(0)).get(RTAX_MTU));
  const destination = attributes.get(RTA.destination) ?? Buffer.alloc(family === AF_INET ? 4 : 16);
  return {
    destination: {
      address: ipFromBytes(destination),
      length: message.body.readUInt8(1),
      family: family === AF_INET ? 4 : 6,
    },
    link: u32Of(oif),
    ...(gateway ? { gateway: ipFromBytes(gateway) } : {}),
    ...(source ? { source: ipFromBytes(source) } : {}),
    ...(mtu > 0 ? { mtu } : {}),
    table: u32Of(attributes.get(RTA.table)) || message.body.readUInt8(4),
    protocol: message.body.readUInt8(5),
    scope: message.body.readUInt8(6) === SCOPE_UNIVERSE ? 'global' : 'link',
  };
}

/** `10.1.0.0/16 via 10.0.0.1 dev 3`, for errors. */
export function routeName(route: Route): string {
  const via = route.gateway === undefined ? '' : ` via ${route.gateway}`;
  return `${formatPrefix(route.destination)}${via} dev ${route.link}`;
}

function routeMessage(
  type: number,
  flags: number,
  route: Route,
  protocol: number,
  scope: number,
  kind: number,
): MessageWriter {
  const { destination } = route;
  const table = route.table ?? mainTable;
  const header = Buffer.alloc(12);
  header.writeUInt8(destination.family === 4 ? AF_INET : AF_INET6, 0);
  header.writeUInt8(destination.length, 1);
  header.writeUInt8(table < 256 ? table : 0, 4);
  header.writeUInt8(protocol, 5);
  header.writeUInt8(scope, 6);
  header.writeUInt8(kind, 7);
  const message = new MessageWriter(type, NLM_F_REQUEST | NLM_F_ACK | flags).header(header);
  if (destination.length > 0) message.attribute(RTA.destination, ipToBytes(destination.address));
  return message.u32(RTA.oif, route.link).u32(RTA.table, table);
}

import { type Prefix, formatPrefix, parsePrefix, prefixesOverlap } from '../../values/ip/index.ts';

/** Blocks in which no host can have an address that others reach through a router. */
const unusable = [
  { block: parsePrefix('0.0.0.0/8'), kind: 'unspecified addresses' },
  { block: parsePrefix('127.0.0.0/8'), kind: 'loopback' },
  { block: parsePrefix('169.254.0.0/16'), kind: 'link-local' },
  { block: parsePrefix('224.0.0.0/4'), kind: 'multicast' },
  { block: parsePrefix('240.0.0.0/4'), kind: 'reserved' },
];

/** Why nodes, pods or Services cannot have addresses of this block; undefined when they can. */
export function unusableBlock(prefix: Prefix): string | undefined {
  const found = unusable.find(({ block }) => prefixesOverlap(block, prefix));
  if (!found) return undefined;
  return `expected a block of unicast addresses that are routed, such as 10.1.0.0/16; ${formatPrefix(prefix)} overlaps ${formatPrefix(found.block)} (${found.kind})`;
}

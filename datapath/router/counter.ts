import type { BpfAttachment, BpfMap, Kernel } from '../../kernel/ports/index.ts';
import { type IpAddress, type Prefix, formatPrefix } from '../../values/ip/index.ts';
import { defineLayout, ipv4, u32 } from '../codec/index.ts';
import { type Counter, readCounters } from '../drops/index.ts';
import { objectPath } from '../programs/index.ts';

/** `struct router_prefix_key` */
export const routerPrefixKey = defineLayout('router_prefix_key', 8, { prefixLength: u32(0), address: ipv4(4) });
/** `struct router_cut_key` */
export const routerCutKey = defineLayout('router_cut_key', 8, { source: ipv4(0), destination: ipv4(4) });

/** Names of `enum router_count`, by index. */
export const routerCounts = ['seen', 'pod address', 'cut'] as const;
export type RouterCount = (typeof routerCounts)[number];

export interface RouterCounterOptions {
  readonly kernel: Kernel;
  /** Devices of the router whose arriving packets are looked at. */
  readonly links: readonly number[];
  readonly podCidrs: readonly Prefix[];
  /** With it the counter survives its process, and another process may open it again. */
  readonly pinDirectory?: string;
}

/** Two underlay addresses. */
export type AddressPair = readonly [IpAddress, IpAddress];

/** Watches a router between nodes: no pod address may be seen outside a tunnel; links can be cut. */
export interface RouterCounter extends AsyncDisposable {
  /** IPv4 packets seen, those of them with a pod CIDR's address outside, and those that a cut dropped. */
  counts(): readonly Counter<RouterCount>[];
  /** Packets between the two addresses of each pair are dropped from now on, in both directions. */
  cut(pairs: readonly AddressPair[]): Promise<void>;
  heal(pairs: readonly AddressPair[]): Promise<void>;
  /** Also ends the programs; without it a pinned counter goes on. */
  detach(): Promise<void>;
}

/** Loads the counter, or takes over the one that is pinned. @throws {RangeError} for a pod CIDR that is not IPv4. */
export async function openRouterCounter(options: RouterCounterOptions): Promise<RouterCounter> {
  const object = await options.kernel.bpf.load({
    path: objectPath('router'),
    ...(options.pinDirectory === undefined ? {} : { pinDirectory: options.pinDirectory }),
  });
  const attachments: BpfAttachment[] = [];
  try {
    await writeCidrs(object.map('router_cidrs'), options.podCidrs);
    for (const link of options.links) {
      const pin = options.pinDirectory === undefined ? {} : { pinName: `router_${link}` };
      attachments.push(await object.attach('router', { type: 'tc', link, direction: 'ingress' }, pin));
    }
  } catch (error) {
    for (const attachment of attachments) attachment[Symbol.dispose]();
    object[Symbol.dispose]();
    throw error;
  }
  const cuts = object.map('router_cut');
  return {
    counts: () => readCounters(object.map('router_counts'), routerCounts),
    cut: async (pairs) => {
      const keys = cutKeys(pairs);
      const values = Buffer.alloc(keys.length / 2);
      if (pairs.length > 0) await cuts.updateBatch(keys, values, pairs.length * 2);
    },
    heal: async (pairs) => {
      if (pairs.length > 0) await cuts.deleteBatch(cutKeys(pairs), pairs.length * 2);
    },
    detach: async () => {
      for (const attachment of attachments.splice(0)) await attachment.detach();
    },
    [Symbol.asyncDispose]: async () => {
      for (const attachment of attachments.splice(0)) attachment[Symbol.dispose]();
      object[Symbol.dispose]();
    },
  };
}

async function writeCidrs(map: BpfMap, cidrs: readonly Prefix[]): Promise<void> {
  const wanted = new Map<string, Buffer>();
  for (const cidr of cidrs) {
    if (cidr.family !== 4) throw new RangeError(`Not an IPv4 prefix: ${formatPrefix(cidr)}`);
    const key = routerPrefixKey.bytes({ prefixLength: cidr.length, address: cidr.address });
    wanted.set(key.toString('hex'), key);
  }
  const stale: Buffer[] = [];
  await map.dump((key) => {
    if (!wanted.has(Buffer.from(key).toString('hex'))) stale.push(Buffer.from(key));
  });
  for (const key of wanted.values()) map.update(key, Buffer.from([1, 0, 0, 0]));
  for (const key of stale) map.delete(key);
}

/** Both directions of every pair. */
function cutKeys(pairs: readonly AddressPair[]): Buffer {
  return Buffer.concat(
    pairs.flatMap(([a, b]) => [
      routerCutKey.bytes({ source: a, destination: b }),
      routerCutKey.bytes({ source: b, destination: a }),
    ]),
  );
}

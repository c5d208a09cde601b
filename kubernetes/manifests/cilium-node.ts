import { formatPrefix, isIp, parseIp, parsePrefix } from '../../values/ip/index.ts';
import type { CiliumNode, IpPair } from '../objects/index.ts';
import type { FieldReader } from './field-reader.ts';
import { readMetadata } from './metadata.ts';

/** What cannot be parsed as an address or a block is dropped, since Cilium drops it in silence (kvstore-schema §6). */
export function readCiliumNode(reader: FieldReader): CiliumNode {
  const spec = reader.object('spec');
  const ipam = spec.object('ipam');
  const identity = spec.integer('nodeidentity', 0, 0xffff_ffff, 0);
  return {
    kind: 'CiliumNode',
    metadata: readMetadata(reader, 'cluster'),
    spec: {
      addresses: spec
        .list('addresses', (item) => ({ type: item.text('type', ''), ip: item.text('ip', '') }))
        .filter(({ ip }) => isIp(ip))
        .map(({ type, ip }) => ({ type, ip: parseIp(ip) })),
      bootId: spec.text('bootid', ''),
      encryptionKey: spec.object('encryption').integer('key', 0, 255, 0),
      health: readIpPair(spec.object('health')),
      ingress: readIpPair(spec.object('ingress')),
      ipam: {
        podCIDRs: blocks(ipam.texts('podCIDRs')),
        pools: ipam
          .object('pools')
          .list('allocated', (item) => ({ pool: item.text('pool', ''), cidrs: blocks(item.texts('cidrs')) })),
      },
      ...(identity === 0 ? {} : { nodeIdentity: identity }),
    },
  };
}

/** Members `ipv4` and `ipv6`; what is no address is left out. */
export function readIpPair(reader: FieldReader): IpPair {
  const ipv4 = reader.text('ipv4', '');
  const ipv6 = reader.text('ipv6', '');
  return { ...(isIp(ipv4) ? { ipv4: parseIp(ipv4) } : {}), ...(isIp(ipv6) ? { ipv6: parseIp(ipv6) } : {}) };
}

function blocks(texts: readonly string[]): string[] {
  return texts.flatMap((text) => {
    try {
      return [formatPrefix(parsePrefix(text, { strict: false }))];
    } catch {
      return [];
    }
  });
}

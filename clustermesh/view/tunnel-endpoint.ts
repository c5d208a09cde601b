import type { Family, IpAddress } from '../../values/ip/index.ts';
import type { NodeRecord } from '../wire/records.ts';

/**
 * The address of a node to which packets are tunnelled (kvstore-schema §6): its first `InternalIP` of the family, else
 * its last `ExternalIP`, else the first address of any other type; never a `CiliumInternalIP`.
 */
export function tunnelEndpointOf(node: Pick<NodeRecord, 'addresses'>, family: Family = 4): IpAddress | undefined {
  const candidates = node.addresses.filter(
    ({ type, ip }) => type !== 'CiliumInternalIP' && ip.includes(':') === (family === 6),
  );
  const chosen =
    candidates.find(({ type }) => type === 'InternalIP') ??
    candidates.findLast(({ type }) => type === 'ExternalIP') ??
    candidates[0];
  return chosen?.ip;
}

import { type IpAddress, parseIp } from '../../values/ip/index.ts';
import { addressFrom, familyNumber, familyOf } from '../codec/index.ts';
import type { RowCodec } from '../table/index.ts';
import type { EndpointEntry } from './entry.ts';
import { endpointFlags, endpointKey, endpointValue } from './layout.ts';

/** Entries to rows. An entry's key is its address as text. */
export const endpointCodec: RowCodec<EndpointEntry> = {
  keySize: endpointKey.size,
  valueSize: endpointValue.size,
  keyOf: (entry) => parseIp(entry.address),
  writeKeyOf: (entry, into, offset) => writeKey(entry.address, into, offset),
  writeKey,
  writeValue: (entry, into, offset) =>
    endpointValue.encode(
      {
        link: entry.link,
        unused: 0,
        endpointId: entry.endpointId,
        flags: entry.host ? endpointFlags.host : 0,
        pad: 0,
        mac: entry.mac,
        nodeMac: entry.nodeMac,
        identity: entry.identity,
        parentLink: 0,
      },
      into,
      offset,
    ),
};

function writeKey(address: IpAddress, into: Buffer, offset: number): void {
  const family = familyNumber(address.includes(':') ? 6 : 4);
  endpointKey.encode({ address, family, key: 0, cluster: 0 }, into, offset);
}

/** The entry of a row, for `isthmus get` and tests. */
export function decodeEndpoint(key: Buffer, value: Buffer): EndpointEntry {
  const k = endpointKey.decode(key);
  const v = endpointValue.decode(value);
  return {
    address: addressFrom(k.address, familyOf(k.family)),
    link: v.link,
    endpointId: v.endpointId,
    mac: v.mac,
    nodeMac: v.nodeMac,
    identity: v.identity,
    ...(v.flags & endpointFlags.host ? { host: true } : {}),
  };
}

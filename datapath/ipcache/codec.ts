import { type Prefix, formatPrefix, parsePrefix } from '../../values/ip/index.ts';
import { addressFrom, familyNumber, familyOf } from '../codec/index.ts';
import type { RowCodec } from '../table/index.ts';
import type { IpcacheEntry } from './entry.ts';
import { ipcacheFlags, ipcacheKey, ipcacheValue, prefixBase } from './layout.ts';

/** Entries to rows. An entry's key is its prefix as text, `10.1.0.0/16`. */
export const ipcacheCodec: RowCodec<IpcacheEntry> = {
  keySize: ipcacheKey.size,
  valueSize: ipcacheValue.size,
  keyOf: (entry) => formatPrefix(entry.prefix),
  writeKeyOf: (entry, into, offset) => writeKey(entry.prefix, into, offset),
  writeKey: (key, into, offset) => writeKey(parsePrefix(key), into, offset),
  writeValue: (entry, into, offset) => {
    const tunnel = entry.tunnelEndpoint ?? '';
    const flags =
      (tunnel === '' ? 0 : ipcacheFlags.hasTunnel) |
      (tunnel.includes(':') ? ipcacheFlags.tunnelIsIpv6 : 0) |
      (entry.remoteCluster ? ipcacheFlags.remoteCluster : 0);
    ipcacheValue.encode(
      {
        identity: entry.identity,
        tunnelEndpoint: tunnel,
        pad: 0,
        encryptKey: entry.encryptKey,
        flags,
      },
      into,
      offset,
    );
  },
};

function writeKey({ address, length, family }: Prefix, into: Buffer, offset: number): void {
  const prefixLength = prefixBase + length;
  ipcacheKey.encode({ prefixLength, cluster: 0, pad: 0, family: familyNumber(family), address }, into, offset);
}

/** The entry of a row, for `isthmus get` and tests. */
export function decodeIpcache(key: Buffer, value: Buffer): IpcacheEntry {
  const k = ipcacheKey.decode(key);
  const v = ipcacheValue.decode(value);
  const family = familyOf(k.family);
  const prefix: Prefix = { address: addressFrom(k.address, family), length: k.prefixLength - prefixBase, family };
  return {
    prefix,
    identity: v.identity,
    encryptKey: v.encryptKey,
    ...(v.flags & ipcacheFlags.hasTunnel
      ? { tunnelEndpoint: addressFrom(v.tunnelEndpoint, v.flags & ipcacheFlags.tunnelIsIpv6 ? 6 : 4) }
      : {}),
    ...(v.flags & ipcacheFlags.remoteCluster ? { remoteCluster: true } : {}),
  };
}

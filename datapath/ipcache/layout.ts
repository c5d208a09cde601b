import { address16, defineLayout, u16, u32, u8 } from '../codec/index.ts';

/** `struct ipcache_key`: Cilium's `cilium_ipcache_v2`, key of an LPM trie. */
export const ipcacheKey = defineLayout('ipcache_key', 24, {
  /** Bits counted from `cluster`: 32 and the prefix's own length. */
  prefixLength: u32(0),
  /** 0: any; upstream Cluster Mesh writes nothing else. */
  cluster: u16(4),
  pad: u8(6),
  family: u8(7),
  address: address16(8),
});

/** `struct ipcache_value`. */
export const ipcacheValue = defineLayout('ipcache_value', 24, {
  identity: u32(0),
  tunnelEndpoint: address16(4),
  pad: u16(20),
  encryptKey: u8(22),
  flags: u8(23),
});

/** Bits of a key before its address: cluster, padding and family always match whole. */
export const prefixBase = 32;

export const ipcacheFlags = { skipTunnel: 0x01, hasTunnel: 0x02, tunnelIsIpv6: 0x04, remoteCluster: 0x08 } as const;

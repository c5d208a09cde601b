import { address16, defineLayout, mac, u16, u32, u8 } from '../codec/index.ts';

/** `struct endpoint_key`: Cilium's `cilium_lxc`. */
export const endpointKey = defineLayout('endpoint_key', 20, {
  address: address16(0),
  family: u8(16),
  key: u8(17),
  cluster: u16(18),
});

/** `struct endpoint_value`; what Cilium keeps beyond these fields is zero. */
export const endpointValue = defineLayout('endpoint_value', 48, {
  link: u32(0),
  unused: u16(4),
  endpointId: u16(6),
  flags: u32(8),
  pad: u32(12),
  mac: mac(16),
  nodeMac: mac(24),
  identity: u32(32),
  parentLink: u32(36),
});

export const endpointFlags = { host: 1 } as const;

import { defineLayout, ipv4, u16, u32 } from '../codec/index.ts';

/** `struct node_config`, the whole of `.rodata`. */
export const nodeConfig = defineLayout('node_config', 16, {
  overlayLink: u32(0),
  nodeAddress: ipv4(4),
  natPortMin: u16(8),
  natPortMax: u16(10),
  pad: u32(12),
});

/** Source ports of services at the tc level: above Linux' ephemeral range, which ends at 60999. */
export const defaultNatPorts = { min: 61_000, max: 65_535 } as const;

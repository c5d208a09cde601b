import { be16, defineLayout, ipv4, u16, u32, u8 } from '../codec/index.ts';

/** `struct service_key`: Cilium's `cilium_lb4_services_v2`. */
export const serviceKey = defineLayout('service_key', 12, {
  address: ipv4(0),
  port: be16(4),
  /** 0 is the master, which holds the count; backends are at 1…count. */
  slot: u16(6),
  protocol: u8(8),
  scope: u8(9),
  pad: u16(10),
});

/** `struct service_value`. */
export const serviceValue = defineLayout('service_value', 12, {
  /** Of a slot; the master has seconds of affinity in the low 24 bits and the algorithm in the high 8. */
  backendId: u32(0),
  count: u16(4),
  revNat: be16(6),
  flags: u8(8),
  flags2: u8(9),
  quarantined: u16(10),
});

/** `struct backend_value`: Cilium's `cilium_lb4_backends_v3`; its key is the id, a `__u32`. */
export const backendValue = defineLayout('backend_value', 12, {
  address: ipv4(0),
  port: be16(4),
  protocol: u8(6),
  state: u8(7),
  cluster: u16(8),
  zone: u8(10),
  pad: u8(11),
});

/** `struct rev_nat_value`: Cilium's `cilium_lb4_reverse_nat`; its key is the index in network order. */
export const revNatValue = defineLayout('rev_nat_value', 6, { address: ipv4(0), port: be16(4) });

/** `struct affinity_match`, a key; the value is one byte. */
export const affinityMatch = defineLayout('affinity_match', 8, { backendId: u32(0), revNat: be16(4), pad: u16(6) });

export const serviceFlags = { affinity: 16 } as const;
export const backendStates = { active: 0, terminating: 1 } as const;
export const protocolNumbers = { TCP: 6, UDP: 17, SCTP: 132 } as const;
/** Algorithm "random" in a master's high byte. */
export const algorithmRandom = 1;

/** What a tunnel and an encryption take from a packet of the underlay. */
export interface MtuMode {
  readonly underlay: 4 | 6;
  readonly tunnel: boolean;
  readonly encryption: 'none' | 'wireguard' | 'ipsec';
}

/** VXLAN and Geneve alike: outer IP header, UDP 8, tunnel header 8, inner Ethernet header 14. */
export function tunnelOverhead(underlay: 4 | 6): number {
  return underlay === 4 ? 50 : 70;
}

/** ESP with AES-128-GCM; longer authentication keys add their surplus over 16 bytes. */
const encryptionOverhead = { none: 0, wireguard: 80, ipsec: 77 } as const;

/** Largest packet a pod may send, for a device MTU of the underlay (Cilium's table). */
export function routeMtu(deviceMtu: number, mode: MtuMode): number {
  const mtu = deviceMtu - (mode.tunnel ? tunnelOverhead(mode.underlay) : 0) - encryptionOverhead[mode.encryption];
  if (mtu < 576) throw new RangeError(`A device MTU of ${deviceMtu} leaves ${mtu} bytes for packets, less than 576`);
  return mtu;
}

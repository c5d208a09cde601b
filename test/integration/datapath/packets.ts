import { ipToBytes } from '../../../values/ip/index.ts';

export interface Flow {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

const tcpFlagBits = { FIN: 1, SYN: 2, RST: 4, ACK: 16 } as const;
export type TcpFlag = keyof typeof tcpFlagBits;

/** An Ethernet frame with a UDP datagram of eight bytes; `checksum: false` leaves UDP's out. */
export function ipv4Udp(flow: Flow, options: { readonly checksum?: boolean } = {}): Buffer {
  const udp = Buffer.alloc(16);
  udp.writeUInt16BE(flow.sourcePort, 0);
  udp.writeUInt16BE(flow.destinationPort, 2);
  udp.writeUInt16BE(udp.length, 4);
  if (options.checksum !== false) udp.writeUInt16BE(transportChecksum(flow, 17, udp) || 0xffff, 6);
  return frame(flow, 17, udp);
}

/** An Ethernet frame with a TCP segment without data. */
export function ipv4Tcp(flow: Flow, flags: readonly TcpFlag[]): Buffer {
  const tcp = Buffer.alloc(20);
  tcp.writeUInt16BE(flow.sourcePort, 0);
  tcp.writeUInt16BE(flow.destinationPort, 2);
  tcp.writeUInt8(5 << 4, 12);
  tcp.writeUInt8(
    flags.reduce((bits, flag) => bits | tcpFlagBits[flag], 0),
    13,
  );
  tcp.writeUInt16BE(transportChecksum(flow, 6, tcp), 16);
  return frame(flow, 6, tcp);
}

/** Addresses and ports of a frame, and whether its checksums are right. */
export function readFrame(bytes: Buffer): Flow & { readonly macs: string; readonly checksumsHold: boolean } {
  const ip = bytes.subarray(14, 34);
  const transport = bytes.subarray(34);
  const protocol = ip.readUInt8(9);
  const flow = {
    source: ip.subarray(12, 16).join('.'),
    destination: ip.subarray(16, 20).join('.'),
    sourcePort: transport.readUInt16BE(0),
    destinationPort: transport.readUInt16BE(2),
  };
  const absent = protocol === 17 && transport.readUInt16BE(6) === 0;
  const macs = `${bytes.toString('hex', 0, 6)} ${bytes.toString('hex', 6, 12)}`;
  const checksumsHold = checksum(ip) === 0 && (absent || transportChecksum(flow, protocol, transport) === 0);
  return { ...flow, macs, checksumsHold };
}

/** An ICMP "port unreachable": between whom, whether its checksums are right, and the packet it is about. */
export function readUnreachable(bytes: Buffer): {
  readonly type: readonly [protocol: number, type: number, code: number];
  readonly source: string;
  readonly destination: string;
  readonly macs: string;
  readonly checksumsHold: boolean;
  readonly quoted: string;
} {
  const ip = bytes.subarray(14, 34);
  const icmp = bytes.subarray(34);
  return {
    type: [ip.readUInt8(9), icmp.readUInt8(0), icmp.readUInt8(1)],
    source: ip.subarray(12, 16).join('.'),
    destination: ip.subarray(16, 20).join('.'),
    macs: `${bytes.toString('hex', 0, 6)} ${bytes.toString('hex', 6, 12)}`,
    checksumsHold: checksum(ip) === 0 && checksum(icmp) === 0 && ip.readUInt16BE(2) === bytes.length - 14,
    quoted: icmp.toString('hex', 8),
  };
}

function frame({ source, destination }: Flow, protocol: number, transport: Buffer): Buffer {
  const ip = Buffer.alloc(20);
  ip.writeUInt8(0x45, 0);
  ip.writeUInt16BE(20 + transport.length, 2);
  ip.writeUInt8(64, 8);
  ip.writeUInt8(protocol, 9);
  ip.set(ipToBytes(source), 12);
  ip.set(ipToBytes(destination), 16);
  ip.writeUInt16BE(checksum(ip), 10);
  return Buffer.concat([Buffer.from('0200000000010200000000020800', 'hex'), ip, transport]);
}

function transportChecksum({ source, destination }: Flow, protocol: number, transport: Buffer): number {
  const pseudo = Buffer.alloc(12);
  pseudo.set(ipToBytes(source), 0);
  pseudo.set(ipToBytes(destination), 4);
  pseudo.writeUInt8(protocol, 9);
  pseudo.writeUInt16BE(transport.length, 10);
  return checksum(Buffer.concat([pseudo, transport]));
}

/** The Internet checksum; over data that holds its own, 0. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

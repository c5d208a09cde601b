import { ipToBytes } from '../../values/ip/index.ts';

export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0x800;
export const SOCK_CLOEXEC = 0x80000;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_PEERCRED = 17;
export const SO_RCVBUFFORCE = 33;
export const SOL_NETLINK = 270;

/** `struct sockaddr_in` or `sockaddr_in6` of an address and a port (ip(7), ipv6(7)). */
export function socketAddress(address: string, port: number): Buffer {
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new RangeError(`Not a port: ${port}`);
  const bytes = ipToBytes(address);
  const result = Buffer.alloc(bytes.length === 4 ? 16 : 28);
  result.writeUInt16LE(bytes.length === 4 ? AF_INET : AF_INET6, 0);
  result.writeUInt16BE(port, 2);
  result.set(bytes, bytes.length === 4 ? 4 : 8);
  return result;
}

/** `AF_INET` or `AF_INET6`, by the text of an address. */
export function familyOf(address: string): number {
  return ipToBytes(address).length === 4 ? AF_INET : AF_INET6;
}

/** One C `int` for setsockopt. */
export function intBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

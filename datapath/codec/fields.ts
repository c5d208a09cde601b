import { type IpAddress, ipFromBytes, ipToBytes } from '../../values/ip/index.ts';

/** One member of a C struct. */
export interface Field<V> {
  readonly offset: number;
  readonly size: number;
  write(value: V, into: Buffer, offset: number): void;
  read(from: Buffer, offset: number): V;
}

/** The type that a field reads and writes. */
export type FieldValue<F> = F extends { read(from: Buffer, offset: number): infer V } ? V : never;

export const u8 = (offset: number): Field<number> => ({
  offset,
  size: 1,
  write: (value, into, at) => void into.writeUInt8(value, at),
  read: (from, at) => from.readUInt8(at),
});

/** Host byte order; the kernels we run on are little endian (x86-64, arm64). */
export const u16 = (offset: number): Field<number> => ({
  offset,
  size: 2,
  write: (value, into, at) => void into.writeUInt16LE(value, at),
  read: (from, at) => from.readUInt16LE(at),
});

export const u32 = (offset: number): Field<number> => ({
  offset,
  size: 4,
  write: (value, into, at) => void into.writeUInt32LE(value, at),
  read: (from, at) => from.readUInt32LE(at),
});

export const u64 = (offset: number): Field<bigint> => ({
  offset,
  size: 8,
  write: (value, into, at) => void into.writeBigUInt64LE(value, at),
  read: (from, at) => from.readBigUInt64LE(at),
});

/** Network byte order: ports, rev_nat indexes. */
export const be16 = (offset: number): Field<number> => ({
  offset,
  size: 2,
  write: (value, into, at) => void into.writeUInt16BE(value, at),
  read: (from, at) => from.readUInt16BE(at),
});

/** An IPv4 address of four bytes. */
export const ipv4 = (offset: number): Field<IpAddress> => ({
  offset,
  size: 4,
  write: (value, into, at) => {
    const bytes = ipToBytes(value);
    if (bytes.length !== 4) throw new RangeError(`Not an IPv4 address: ${value}`);
    into.set(bytes, at);
  },
  read: (from, at) => ipFromBytes(from.subarray(at, at + 4)),
});

/**
 * Sixteen bytes that hold an address of either family, IPv4 in the first four. Which of the two it is stands in another
 * field, so that reading gives the raw bytes; {@link addressFrom} makes text of them.
 */
export const address16 = (offset: number): Field<Uint8Array> => ({
  offset,
  size: 16,
  write: (value, into, at) => into.set(value, at),
  read: (from, at) => Uint8Array.from(from.subarray(at, at + 16)),
});

/** The address in sixteen raw bytes. */
export function addressFrom(bytes: Uint8Array, family: 4 | 6): IpAddress {
  return ipFromBytes(family === 4 ? bytes.subarray(0, 4) : bytes);
}

/** Six bytes in eight, low address first; empty text is no address (all zero). */
export const mac = (offset: number): Field<string> => ({
  offset,
  size: 8,
  write: (value, into, at) => {
    if (value === '') return;
    const parts = value.split(':');
    if (parts.length !== 6 || !parts.every((part) => /^[0-9a-f]{2}$/i.test(part)))
      throw new RangeError(`Not a MAC address: ${JSON.stringify(value)}`);
    for (const [i, part] of parts.entries()) into.writeUInt8(Number.parseInt(part, 16), at + i);
  },
  read: (from, at) => {
    const bytes = [...from.subarray(at, at + 6)];
    return bytes.every((byte) => byte === 0) ? '' : bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
  },
});

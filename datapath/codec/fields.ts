import { type IpAddress, ipFromBytes, ipToBytes } from '../../values/ip/index.ts';

/** One member of a C struct: what is read from it, and what may be written to it. */
export interface Field<V, W = V> {
  readonly offset: number;
  readonly size: number;
  write(value: W, into: Buffer, offset: number): void;
  read(from: Buffer, offset: number): V;
}

/** The type that a field reads. */
export type FieldValue<F> = F extends { read(from: Buffer, offset: number): infer V } ? V : never;
/** The type that a field writes. */
export type FieldInput<F> = F extends { write(value: infer W, into: Buffer, offset: number): void } ? W : never;

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
    if (writeAddress(value, into, at) !== 4) throw new RangeError(`Not an IPv4 address: ${value}`);
  },
  read: (from, at) => ipFromBytes(from.subarray(at, at + 4)),
});

/**
 * Sixteen bytes that hold an address of either family, IPv4 in the first four; empty text is no address (all zero).
 * Which of the two it is stands in another field, so that reading gives the raw bytes; {@link addressFrom} makes text of
 * them.
 */
export const address16 = (offset: number): Field<Uint8Array, IpAddress> => ({
  offset,
  size: 16,
  write: (value, into, at) => {
    if (value !== '') writeAddress(value, into, at);
  },
  read: (from, at) => Uint8Array.from(from.subarray(at, at + 16)),
});

/**
 * Writes the 4 or 16 bytes of an address and tells its family. Dotted quads are read digit by digit: half a million of them
 * are written when a large mesh is taken in.
 * @throws {RangeError} when the text is no address.
 */
export function writeAddress(text: IpAddress, into: Buffer, at: number): 4 | 6 {
  if (writeQuad(text, into, at)) return 4;
  const bytes = ipToBytes(text);
  into.set(bytes, at);
  return bytes.length === 4 ? 4 : 6;
}

/** False when the text is not plainly a dotted quad; what was written then is to be overwritten. */
function writeQuad(text: string, into: Buffer, at: number): boolean {
  let part = 0;
  let digits = 0;
  let index = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? dot : text.charCodeAt(i);
    if (code === dot) {
      if (digits === 0 || part > 255 || index > 3) return false;
      into[at + index++] = part;
      part = 0;
      digits = 0;
    } else {
      // A leading zero is refused elsewhere.
      if (code < zero || code > zero + 9 || (digits > 0 && part === 0)) return false;
      part = part * 10 + (code - zero);
      digits++;
    }
  }
  return index === 4;
}

const dot = 46;
const zero = 48;

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

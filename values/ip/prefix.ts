import { type Family, type IpAddress, ipFromBytes, ipToBytes, parseIp } from './address.ts';

/** An address block; `address` is canonical and has no bits set beyond `length`. */
export interface Prefix {
  readonly address: IpAddress;
  readonly length: number;
  readonly family: Family;
}

/** @throws {RangeError} when the text is no prefix, or (strict, the default) has host bits set. */
export function parsePrefix(text: string, options: { readonly strict?: boolean } = {}): Prefix {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  if (!match) throw new RangeError(`Not an address prefix: ${JSON.stringify(text)}`);
  const bytes = ipToBytes(match[1] ?? '');
  const length = Number(match[2]);
  if (length > bytes.length * 8)
    throw new RangeError(`Prefix length of ${JSON.stringify(text)} is beyond ${bytes.length * 8}`);
  const masked = mask(bytes, length);
  if (options.strict !== false && !equal(masked, bytes))
    throw new RangeError(`Prefix ${JSON.stringify(text)} has host bits set`);
  return { address: ipFromBytes(masked), length, family: bytes.length === 4 ? 4 : 6 };
}

/** `10.1.0.0/16`; the same text for equal prefixes. */
export function formatPrefix(prefix: Prefix): string {
  return `${prefix.address}/${prefix.length}`;
}

/** The prefix of one address: /32 or /128. */
export function hostPrefix(address: string): Prefix {
  const canonical = parseIp(address);
  return canonical.includes(':')
    ? { address: canonical, length: 128, family: 6 }
    : { address: canonical, length: 32, family: 4 };
}

export function containsIp(prefix: Prefix, address: string): boolean {
  const bytes = ipToBytes(address);
  if ((bytes.length === 4 ? 4 : 6) !== prefix.family) return false;
  return equal(mask(bytes, prefix.length), ipToBytes(prefix.address));
}

export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  return a.family === b.family && (a.length <= b.length ? containsIp(a, b.address) : containsIp(b, a.address));
}

/** The n-th address of a block, 0 being its network address. @throws {RangeError} when the block ends before. */
export function nthAddress(prefix: Prefix, n: number): IpAddress {
  const bytes = ipToBytes(prefix.address).slice();
  const bits = bytes.length * 8 - prefix.length;
  if (n < 0 || (bits < 53 && n >= 2 ** bits))
    throw new RangeError(`${formatPrefix(prefix)} has no address number ${n}`);
  let carry = n;
  for (let i = bytes.length - 1; i >= 0 && carry > 0; i--) {
    const sum = (bytes[i] ?? 0) + (carry % 256);
    bytes[i] = sum & 255;
    carry = Math.floor(carry / 256) + (sum >> 8);
  }
  return ipFromBytes(bytes);
}

function mask(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.map((byte, i) => {
    const kept = Math.min(8, Math.max(0, length - i * 8));
    return byte & (0xff << (8 - kept)) & 0xff;
  });
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

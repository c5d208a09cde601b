export type Family = 4 | 6;

/**
 * An address in its canonical text: dotted quad, or RFC 5952 (lower case, longest run of zeros compressed). Equal
 * addresses are equal strings, so they serve as map keys. An IPv4-mapped IPv6 address is its dotted quad, as in Go.
 */
export type IpAddress = string;

/** Canonical form of an address. @throws {RangeError} naming the text when it is none (zones are refused). */
export function parseIp(text: string): IpAddress {
  return ipFromBytes(ipToBytes(text));
}

export function isIp(text: string): boolean {
  return tryBytes(text) !== undefined;
}

/** 4 or 16 bytes in network order. @throws {RangeError} when the text is no address. */
export function ipToBytes(text: string): Uint8Array {
  const bytes = tryBytes(text);
  if (!bytes) throw new RangeError(`Not an IP address: ${JSON.stringify(text)}`);
  return bytes;
}

/** Canonical text of 4 or 16 bytes in network order. */
export function ipFromBytes(bytes: Uint8Array): IpAddress {
  return formatIp(bytes);
}

/** Same as {@link ipFromBytes}. @throws {RangeError} for any other length. */
export function formatIp(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new RangeError(`An IP address has 4 or 16 bytes, not ${bytes.length}`);
  if (isMapped(bytes)) return bytes.subarray(12).join('.');
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  const { start, length } = longestZeroRun(words);
  const hex = (from: number, to: number): string =>
    words
      .slice(from, to)
      .map((word) => word.toString(16))
      .join(':');
  return length < 2 ? hex(0, 8) : `${hex(0, start)}::${hex(start + length, 8)}`;
}

/** @throws {RangeError} when the text is no IPv4 address. */
export function ipv4ToNumber(text: string): number {
  const number = ipv4Number(text, text.length);
  if (number >= 0) return number;
  // A mapped one is its dotted quad.
  const bytes = ipToBytes(text);
  if (bytes.length !== 4) throw new RangeError(`Not an IPv4 address: ${JSON.stringify(text)}`);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}

/** The address of a prefix of one IPv4 address (`10.1.2.3/32`), as a number; -1 for any other text. Allocates nothing. */
export function ipv4HostNumber(prefix: string): number {
  return prefix.endsWith('/32') ? ipv4Number(prefix, prefix.length - 3) : -1;
}

export function numberToIpv4(value: number): IpAddress {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** `.` as a digit. */
const dot = 46 - 48;

function tryBytes(text: string): Uint8Array | undefined {
  return text.includes(':') ? ipv6Bytes(text) : ipv4Bytes(text);
}

function ipv4Bytes(text: string): Uint8Array | undefined {
  const number = ipv4Number(text, text.length);
  if (number < 0) return undefined;
  return Uint8Array.of(number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255);
}

/**
 * The number of a dotted quad that ends before `end`; -1 when it is none. Character by character: this is asked for every
 * address of a mesh. A leading zero is refused, as by Go.
 */
function ipv4Number(text: string, end: number): number {
  let number = 0;
  let part = 0;
  let value = 0;
  let digits = 0;
  for (let i = 0; i < end; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit >= 0 && digit <= 9) {
      if (digits > 0 && value === 0) return -1;
      value = value * 10 + digit;
      digits += 1;
      if (value > 255) return -1;
    } else {
      if (digit !== dot || digits === 0 || part === 3) return -1;
      number = number * 256 + value;
      part += 1;
      value = 0;
      digits = 0;
    }
  }
  return part === 3 && digits > 0 ? number * 256 + value : -1;
}

function ipv6Bytes(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = words(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? words(halves[1] ?? '', true) : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const all = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  const bytes = new Uint8Array(16);
  for (const [i, word] of all.entries()) {
    bytes[2 * i] = word >> 8;
    bytes[2 * i + 1] = word & 255;
  }
  return isMapped(bytes) ? bytes.slice(12) : bytes;
}

function words(text: string, quadAllowed: boolean): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const result: number[] = [];
  for (const [i, part] of parts.entries()) {
    if (quadAllowed && i === parts.length - 1 && part.includes('.')) {
      const quad = ipv4Bytes(part);
      if (!quad) return undefined;
      result.push(((quad[0] ?? 0) << 8) | (quad[1] ?? 0), ((quad[2] ?? 0) << 8) | (quad[3] ?? 0));
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) result.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return result;
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

function longestZeroRun(words: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && words[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
    start += length;
  }
  return best;
}

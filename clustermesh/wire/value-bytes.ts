import { ipFromBytes, ipToBytes, isIp } from '../../values/ip/index.ts';

const quote = 0x22;
const dot = 0x2e;
const colon = 0x3a;
const zero = 0x30;
/** 1 for what stands for itself in a text: ASCII without control characters, quote and backslash. */
const plain = new Uint8Array(256).map((_, byte) =>
  byte >= 0x20 && byte < 0x7f && byte !== quote && byte !== 0x5c ? 1 : 0,
);

/** Position behind the literal, or −1. */
export function literal(bytes: Uint8Array, at: number, end: number, text: Uint8Array): number {
  const length = text.length;
  if (length > end - at) return -1;
  for (let i = 0; i < length; i++) if (bytes[at + i] !== text[i]) return -1;
  return at + length;
}

/** Position of the quote that ends a plain text; −1 when it is not plain (escapes, control characters, not ASCII). */
export function textEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && plain[bytes[at] as number] === 1) at += 1;
  return at < end && bytes[at] === quote ? at : -1;
}

export function digit(byte: number): boolean {
  return byte >= zero && byte <= 0x39;
}

/** Position behind a whole number of at most `most` digits as JSON writes it; −1 for none. */
export function numberEnd(bytes: Uint8Array, start: number, end: number, most: number): number {
  let at = start;
  while (at < end && digit(bytes[at] as number)) at += 1;
  if (at === start || at - start > most || at === end) return -1;
  return bytes[start] === zero && at - start > 1 ? -1 : at;
}

export function number(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at++) value = value * 10 + (bytes[at] as number) - zero;
  return value;
}

/** An IPv4 address in canonical text as a number; −1 for anything else. */
export function ipv4(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  let parts = 0;
  for (let at = start; ; at++) {
    let part = 0;
    const first = at;
    for (; at < end && digit(bytes[at] as number); at++) part = part * 10 + (bytes[at] as number) - zero;
    const length = at - first;
    if (length === 0 || length > 3 || part > 255 || (length > 1 && bytes[first] === zero)) return -1;
    value = value * 256 + part;
    parts += 1;
    if (at === end) return parts === 4 ? value : -1;
    if (bytes[at] !== dot || parts === 4) return -1;
  }
}

/** The 16 bytes of an IPv6 address in canonical text. */
export function ipv6(bytes: Uint8Array, start: number, end: number): Uint8Array | undefined {
  let text = '';
  let colons = 0;
  if (end - start > 39) return undefined;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === colon) colons += 1;
    text += String.fromCharCode(byte);
  }
  if (colons < 2 || !isIp(text)) return undefined;
  const address = ipToBytes(text);
  return address.length === 16 && ipFromBytes(address) === text ? address : undefined;
}

/** Position of the quote behind an address in canonical text, or behind none; −1 for anything else. */
export function addressEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== quote) at += 1;
  if (at === end) return -1;
  if (at === start || ipv4(bytes, start, at) >= 0 || ipv6(bytes, start, at)) return at;
  return -1;
}

export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

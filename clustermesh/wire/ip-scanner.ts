import { RepeatedHead } from './repeated-head.ts';
import { addressEnd, bytesOf, digit, ipv4, ipv6, literal, number, numberEnd, textEnd } from './value-bytes.ts';

const headText = bytesOf('{"IP":"');
const hostText = bytesOf('","Mask":null,"HostIP":"');
const idText = bytesOf('","ID":');
const keyText = bytesOf(',"Key":');
const metadataText = bytesOf(',"Metadata":"');
const namespaceText = bytesOf(',"K8sNamespace":"');
const podText = bytesOf(',"K8sPodName":"');
const accountText = bytesOf(',"K8sServiceAccount":"');
const portsText = bytesOf(',"NamedPorts":[');
const portNameText = bytesOf('{"Name":"');
const portNumberText = bytesOf('","Port":');
const portProtocolText = bytesOf(',"Protocol":"');
const protocols = ['TCP"}', 'UDP"}', 'SCTP"}', 'ICMP"}', 'ICMPv6"}', 'ANY"}'].map(bytesOf);

const quote = 0x22;
const closing = 0x7d;
const comma = 0x2c;
const dash = 0x2d;
const zero = 0x30;
/**
 * Reads the value of an address key from its bytes, in the one form in which Go and we write it: members in their order,
 * no white space, no escapes, addresses in canonical text. On the first surprise it says "don't know" and JSON decides
 * (`decodeIp`); whatever it does know is what that would have said.
 *
 * The result lies in the scanner until the next value; texts are positions in the buffer that was scanned.
 */
export class IpScanner {
  /** An IPv4 address as a number; 0 for IPv6, whose bytes are in {@link wide}. */
  address = 0;
  /** The bytes of an IPv6 address; undefined for IPv4. */
  wide: Uint8Array | undefined;
  identity = 0;
  encryptKey = 0;
  hostStart = 0;
  hostEnd = 0;
  /** `Metadata` without a number at its end. */
  metadataStart = 0;
  metadataEnd = 0;
  /** The number at the end of `Metadata`, from 1 to 65,535; 0 when there is none of that kind. */
  metadataNumber = 0;
  /** From behind `Metadata` to the end of the object, its brace included. */
  restStart = 0;
  restEnd = 0;
  /** The last part of the pod's name, cut out of the rest: `suffix` stands for it. Both at `restEnd` when there is none. */
  cutStart = 0;
  cutEnd = 0;
  /** The part cut out, as {@link suffixOf} makes it; 0 when there is none. */
  suffix = 0;
  /** As long as it stays the same, so do host, key and the metadata's text of the heads that were scanned. */
  site = 0;
  readonly #repeated = new RepeatedHead();

  /** Whether the value is in the known form, and says the address that its key says. */
  scan(
    keyBytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    bytes: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): boolean {
    return this.scanHead(keyBytes, keyStart, keyEnd, bytes, valueStart, valueEnd) && this.scanRest(bytes);
  }

  /** The part of a value up to and with `Metadata`; {@link scanRest} must follow. */
  scanHead(
    keyBytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    bytes: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): boolean {
    let at = literal(bytes, valueStart, valueEnd, headText);
    if (at < 0) return false;
    // The address must be the key's, so one comparison takes the place of looking for its end.
    const length = keyEnd - keyStart;
    if (length > valueEnd - at) return false;
    for (let i = 0; i < length; i++) if (keyBytes[keyStart + i] !== bytes[at + i]) return false;
    if (!this.scanAddress(keyBytes, keyStart, keyEnd)) return false;
    at += length;
    if (this.#scanRepeated(bytes, at, valueEnd)) return true;
    const start = at;
    at = literal(bytes, start, valueEnd, hostText);
    if (at < 0) return false;
    this.hostStart = at;
    at = addressEnd(bytes, at, valueEnd);
    if (at < 0) return false;
    this.hostEnd = at;
    const idStart = literal(bytes, at, valueEnd, idText);
    if (idStart < 0) return false;
    const idEnd = numberEnd(bytes, idStart, valueEnd, 10);
    if (idEnd < 0) return false;
    this.identity = number(bytes, idStart, idEnd);
    if (this.identity > 0xffff_ffff) return false;
    at = literal(bytes, idEnd, valueEnd, keyText);
    if (at < 0) return false;
    const end = numberEnd(bytes, at, valueEnd, 3);
    if (end < 0) return false;
    this.encryptKey = number(bytes, at, end);
    if (this.encryptKey > 255) return false;
    if (!this.scanMetadata(bytes, end, valueEnd)) return false;
    this.#keepSite(bytes, start, idStart, idEnd);
    return true;
  }

  /** The head's part behind the address at `start`, where it is that of the last one but for its numbers. */
  #scanRepeated(bytes: Uint8Array, start: number, valueEnd: number): boolean {
    const repeated = this.#repeated;
    const idStart = repeated.identityAt(bytes, start, valueEnd);
    if (idStart < 0) return false;
    const at = numberEnd(bytes, idStart, valueEnd, 10);
    if (at < 0) return false;
    const identity = number(bytes, idStart, at);
    if (identity > 0xffff_ffff) return false;
    const end = repeated.endAt(bytes, at, valueEnd);
    if (end < 0) return false;
    let value = 0;
    let restStart = end;
    if (repeated.numbered) {
      const numberStop = numberEnd(bytes, end, valueEnd, 5);
      if (numberStop < 0 || bytes[numberStop] !== quote) return false;
      value = number(bytes, end, numberStop);
      if (value === 0 || value > 0xffff) return false;
      restStart = numberStop + 1;
    }
    this.identity = identity;
    this.encryptKey = repeated.encryptKey;
    this.hostStart = start + repeated.hostStart;
    this.hostEnd = start + repeated.hostEnd;
    this.metadataStart = at + repeated.metadataStart;
    this.metadataEnd = at + repeated.metadataEnd;
    this.metadataNumber = value;
    this.restStart = restStart;
    this.restEnd = valueEnd;
    return true;
  }

  #keepSite(bytes: Uint8Array, start: number, idStart: number, idEnd: number): void {
    const repeated = this.#repeated;
    repeated.numbered = this.metadataNumber !== 0;
    repeated.keep(bytes, start, idStart, idEnd, repeated.numbered ? this.metadataEnd : this.restStart);
    repeated.encryptKey = this.encryptKey;
    repeated.hostStart = this.hostStart - start;
    repeated.hostEnd = this.hostEnd - start;
    repeated.metadataStart = this.metadataStart - idEnd;
    repeated.metadataEnd = this.metadataEnd - idEnd;
    this.site += 1;
  }

  /** The address of a key, in canonical text, without length. */
  scanAddress(bytes: Uint8Array, start: number, end: number): boolean {
    this.wide = undefined;
    this.address = 0;
    const address = ipv4(bytes, start, end);
    if (address >= 0) {
      this.address = address;
      return true;
    }
    this.wide = ipv6(bytes, start, end);
    return this.wide !== undefined;
  }

  /** The member `Metadata` at `start`. */
  scanMetadata(bytes: Uint8Array, start: number, end: number): boolean {
    let at = literal(bytes, start, end, metadataText);
    if (at < 0) return false;
    this.metadataStart = at;
    at = textEnd(bytes, at, end);
    if (at < 0) return false;
    this.#splitMetadata(bytes, at);
    this.restStart = at + 1;
    this.restEnd = end;
    return true;
  }

  /** What follows `Metadata`, to the end of the object. */
  scanRest(bytes: Uint8Array): boolean {
    const end = this.restEnd;
    let at = this.restStart;
    this.cutStart = end;
    this.cutEnd = end;
    this.suffix = 0;
    let next = literal(bytes, at, end, namespaceText);
    if (next >= 0) {
      if (bytes[next] === quote) return false;
      at = textEnd(bytes, next, end) + 1;
      if (at === 0) return false;
    }
    next = literal(bytes, at, end, podText);
    if (next >= 0) {
      if (bytes[next] === quote) return false;
      at = textEnd(bytes, next, end) + 1;
      if (at === 0) return false;
      this.#splitPod(bytes, next, at - 1);
    }
    next = literal(bytes, at, end, accountText);
    if (next >= 0) {
      if (bytes[next] === quote) return false;
      at = textEnd(bytes, next, end) + 1;
      if (at === 0) return false;
    }
    next = literal(bytes, at, end, portsText);
    if (next >= 0) {
      at = portsEnd(bytes, next, end);
      if (at < 0) return false;
    }
    return at === end - 1 && bytes[at] === closing;
  }

  /** `cilium-global:default:<node>:<endpoint>`: all but the last number is the same for all endpoints of a node. */
  #splitMetadata(bytes: Uint8Array, end: number): void {
    let at = end;
    while (at > this.metadataStart && digit(bytes[at - 1] as number)) at -= 1;
    const value = end - at <= 5 && at < end && bytes[at] !== zero ? number(bytes, at, end) : 0;
    this.metadataNumber = value <= 0xffff ? value : 0;
    this.metadataEnd = this.metadataNumber === 0 ? end : at;
  }

  /** `checkout-7d9f8b6c5d-x2x9k`: all but the last part is the same for all pods of a workload. */
  #splitPod(bytes: Uint8Array, start: number, end: number): void {
    let at = end - 1;
    while (at > start && bytes[at] !== dash) at -= 1;
    if (bytes[at] !== dash) return;
    const suffix = suffixOf(bytes, at + 1, end);
    if (suffix === 0) return;
    this.cutStart = at + 1;
    this.cutEnd = end;
    this.suffix = suffix;
  }
}

const maxSuffix = 6;
const letters = '0123456789abcdefghijklmnopqrstuvwxyz';

/** The number of one to six digits and lower-case letters; 0 for any other text. */
export function suffixOf(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > maxSuffix) return 0;
  let value = 0;
  for (let at = start; at < end; at++) {
    const letter = letterOf(bytes[at] as number);
    if (letter === 0) return 0;
    value = value * 36 + letter;
  }
  return value;
}

/** The text that {@link IpScanner.suffix} stands for: numbers in base 36 whose digits go from 1 to 36, so that no two texts are one number. */
export function suffixText(suffix: number): string {
  let text = '';
  for (let left = suffix; left > 0;) {
    const letter = ((left - 1) % 36) + 1;
    text = (letters[letter - 1] as string) + text;
    left = (left - letter) / 36;
  }
  return text;
}

/** 1 to 36; 0 for what is neither digit nor lower-case letter. */
function letterOf(byte: number): number {
  if (byte >= 0x61 && byte <= 0x7a) return byte - 0x61 + 11;
  return byte >= zero && byte <= 0x39 ? byte - zero + 1 : 0;
}

/** Position behind the `]` of a list of ports; −1 when it is not in the known form. */
function portsEnd(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; ; at++) {
    at = literal(bytes, at, end, portNameText);
    if (at < 0) return -1;
    at = textEnd(bytes, at, end);
    if (at < 0) return -1;
    const first = literal(bytes, at, end, portNumberText);
    if (first < 0) return -1;
    at = numberEnd(bytes, first, end, 5);
    if (at < 0 || number(bytes, first, at) > 0xffff) return -1;
    const protocol = literal(bytes, at, end, portProtocolText);
    if (protocol < 0) return -1;
    at = -1;
    for (let i = 0; i < protocols.length && at < 0; i++) at = literal(bytes, protocol, end, protocols[i] as Uint8Array);
    if (at < 0 || at >= end) return -1;
    if (bytes[at] === 0x5d) return at + 1;
    if (bytes[at] !== comma) return -1;
  }
}

import { type IpAddress, type Prefix, ipToBytes, parseIp, parsePrefix } from '../../values/ip/index.ts';
import { InvalidRecordError, type RecordFault } from './invalid-record.ts';

/** A value as it came from a store. */
export type Encoded = string | Uint8Array;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Text of a value; invalid UTF-8 becomes U+FFFD, as in Go. A byte order mark stays, and is an error in JSON. */
export function textOf(value: Encoded): string {
  return typeof value === 'string' ? value : decoder.decode(value);
}

/**
 * Reads a JSON object as Go's `encoding/json` would fill a struct: member names match case-insensitively (an exact one is
 * preferred), unknown members are ignored, a missing or `null` member is the zero value, anything of another type or
 * out of range makes the whole value invalid. Errors name the key, the member's path and what was expected.
 */
export class ObjectReader {
  readonly #key: string;
  readonly #path: string;
  readonly #members: Readonly<Record<string, unknown>>;

  private constructor(key: string, path: string, value: unknown) {
    this.#key = key;
    this.#path = path;
    if (value === null || value === undefined) this.#members = {};
    else if (typeof value === 'object' && !Array.isArray(value)) this.#members = value as Record<string, unknown>;
    else throw new InvalidRecordError(key, path, 'an object', value);
  }

  /** @throws {InvalidRecordError} when the value is no JSON object. */
  static parse(key: string, value: Encoded): ObjectReader {
    const text = textOf(value);
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch (cause) {
      throw new InvalidRecordError(key, '', 'a JSON object', text, { cause });
    }
    if (parsed === null) throw new InvalidRecordError(key, '', 'a JSON object', parsed);
    return new ObjectReader(key, '', parsed);
  }

  has(name: string): boolean {
    return this.#get(name) !== undefined;
  }

  text(name: string): string {
    return this.#string(this.#get(name), name);
  }

  /** `{ [name]: text }`, or nothing when the text is empty: to be spread into a record with an optional member. */
  optionalText<N extends string>(name: N): { readonly [K in N]?: string } {
    const text = this.text(name);
    return (text === '' ? {} : { [name]: text }) as { readonly [K in N]?: string };
  }

  boolean(name: string): boolean {
    const value = this.#get(name) ?? false;
    if (typeof value !== 'boolean') throw this.error(name, 'true or false');
    return value;
  }

  /** An unsigned number of at most `bits` bits. */
  uint(name: string, bits: 8 | 16 | 32): number {
    return this.integer(name, 0, 2 ** bits - 1);
  }

  integer(name: string, min: number, max: number): number {
    const value = this.#get(name) ?? 0;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      throw this.error(name, `a whole number from ${min} to ${max}`);
    return value;
  }

  /** Canonical text; empty when missing or empty. */
  ip(name: string): IpAddress {
    return this.#ip(this.#get(name), name);
  }

  /** A Go `IPNet`: `{"IP":…,"Mask":…}` or null. */
  cidr(name: string): Prefix | undefined {
    return this.has(name) ? this.object(name).ownCidr() : undefined;
  }

  /** This object itself read as an `IPNet`. */
  ownCidr(): Prefix {
    const ip = this.ip('IP');
    if (ip === '') throw this.error('IP', 'an IP address');
    const length = this.maskLength('Mask', ip);
    if (length === undefined) throw this.error('Mask', 'a network mask in base64');
    return parsePrefix(`${ip}/${length}`, { strict: false });
  }

  /** Leading ones of a base64 netmask that fits `ip`; `undefined` for null. */
  maskLength(name: string, ip: IpAddress): number | undefined {
    const value = this.#get(name);
    if (value === undefined) return undefined;
    const width = ipToBytes(ip).length;
    const expected = `a network mask of ${width} bytes in base64`;
    if (typeof value !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) throw this.error(name, expected);
    const bytes = Buffer.from(value, 'base64');
    const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
    if (bytes.length !== width || !/^1*0*$/.test(bits)) throw this.error(name, expected);
    return bits.lastIndexOf('1') + 1;
  }

  /** A nested struct; missing or `null` reads as an empty one. */
  object(name: string): ObjectReader {
    return new ObjectReader(this.#key, this.#at(name), this.#get(name));
  }

  /** A nested object as it is; missing reads as an empty one. */
  raw(name: string): Readonly<Record<string, unknown>> {
    return this.object(name).#members;
  }

  list<T>(name: string, read: (item: ObjectReader) => T): T[] {
    return this.#items(name).map((item, i) => read(new ObjectReader(this.#key, `${this.#at(name)}[${i}]`, item)));
  }

  texts(name: string): string[] {
    return this.#items(name).map((item, i) => this.#string(item, `${name}[${i}]`));
  }

  ips(name: string): IpAddress[] {
    return this.#items(name).map((item, i) => {
      const ip = this.#ip(item, `${name}[${i}]`);
      if (ip === '') throw this.error(`${name}[${i}]`, 'an IP address', item);
      return ip;
    });
  }

  prefixes(name: string): Prefix[] {
    return this.texts(name).map((text, i) => {
      try {
        return parsePrefix(text);
      } catch {
        throw this.error(`${name}[${i}]`, 'an address block without host bits', text);
      }
    });
  }

  map<T>(name: string, read: (value: ObjectReader, key: string) => T): Record<string, T> {
    return Object.fromEntries(
      this.#entries(name).map(([key, value]) => [
        key,
        read(new ObjectReader(this.#key, `${this.#at(name)}[${JSON.stringify(key)}]`, value), key),
      ]),
    );
  }

  /** A map whose keys are addresses; they come out canonical. */
  ipMap<T>(name: string, read: (value: ObjectReader) => T): Record<IpAddress, T> {
    return Object.fromEntries(
      Object.entries(this.map(name, read)).map(([key, value]) => {
        try {
          return [parseIp(key), value];
        } catch {
          throw this.error(name, 'keyed by IP addresses', key);
        }
      }),
    );
  }

  textMap(name: string): Record<string, string> {
    return Object.fromEntries(
      this.#entries(name).map(([key, value]) => [key, this.#string(value, `${name}[${JSON.stringify(key)}]`)]),
    );
  }

  /** Every member of this object, read as a nested struct (for objects that are maps). */
  members<T>(read: (value: ObjectReader) => T): Record<string, T> {
    return Object.fromEntries(
      Object.entries(this.#members).map(([key, value]) => [
        key,
        read(new ObjectReader(this.#key, `${this.#path}[${JSON.stringify(key)}]`, value)),
      ]),
    );
  }

  /** The error for a member that does not hold what it must. */
  error(
    name: string,
    expected: string,
    found: unknown = this.#get(name),
    options: { readonly fault?: RecordFault } = {},
  ): InvalidRecordError {
    return new InvalidRecordError(this.#key, name === '' ? this.#path : this.#at(name), expected, found, options);
  }

  #get(name: string): unknown {
    if (Object.hasOwn(this.#members, name)) return this.#members[name] ?? undefined;
    const folded = name.toLowerCase();
    for (const member in this.#members)
      if (member.length === name.length && member.toLowerCase() === folded) return this.#members[member] ?? undefined;
    return undefined;
  }

  #at(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }

  #string(value: unknown, name: string): string {
    if (value === undefined || value === null) return '';
    if (typeof value !== 'string') throw this.error(name, 'a string', value);
    return value;
  }

  #ip(value: unknown, name: string): IpAddress {
    const text = this.#string(value, name);
    if (text === '') return '';
    try {
      return parseIp(text);
    } catch {
      throw this.error(name, 'an IP address', text);
    }
  }

  #items(name: string): readonly unknown[] {
    const value = this.#get(name) ?? [];
    if (!Array.isArray(value)) throw this.error(name, 'a list');
    return value;
  }

  #entries(name: string): [string, unknown][] {
    const value = this.#get(name) ?? {};
    if (typeof value !== 'object' || Array.isArray(value)) throw this.error(name, 'an object');
    return Object.entries(value);
  }
}

/** Base64 of the network mask of a prefix (kvstore-schema §0.2). */
export function maskOf(prefix: Prefix): string {
  const bytes = new Uint8Array(prefix.family === 4 ? 4 : 16).map(
    (_, i) => (0xff00 >> Math.min(8, Math.max(0, prefix.length - 8 * i))) & 0xff,
  );
  return Buffer.from(bytes).toString('base64');
}

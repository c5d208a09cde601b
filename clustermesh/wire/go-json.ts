/**
 * JSON as Go's `encoding/json` writes it (kvstore-schema §0.2): compact, members in the order given, maps sorted by the
 * bytes of their keys, HTML characters escaped. Plain objects are avoided on purpose: JavaScript moves members with
 * integer-like names to the front.
 */
export type GoJson = string | number | boolean | null | GoStruct | GoMap | readonly GoJson[];

/** Members in the order in which the Go type declares them; `undefined` leaves a member out (`omitempty`). */
export class GoStruct {
  readonly members: readonly (readonly [name: string, value: GoJson | undefined])[];

  constructor(members: readonly (readonly [name: string, value: GoJson | undefined])[]) {
    this.members = members;
  }
}

/** A Go map: its members are written sorted by key. */
export class GoMap {
  readonly entries: readonly (readonly [key: string, value: GoJson])[];

  constructor(entries: Iterable<readonly [key: string, value: GoJson]>) {
    this.entries = [...entries].toSorted(([a], [b]) => compareUtf8(a, b));
  }
}

export function struct(...members: readonly (readonly [name: string, value: GoJson | undefined])[]): GoStruct {
  return new GoStruct(members);
}

/** A string map; `null` stays `null`. */
export function stringMap(map: Readonly<Record<string, string>> | null): GoMap | null {
  return map === null ? null : new GoMap(Object.entries(map));
}

/** The value, or `undefined` when `omitempty` leaves it out. */
export function omitEmpty<T extends GoJson>(value: T): T | undefined {
  if (value === '' || value === 0 || value === false || value === null) return undefined;
  if (Array.isArray(value) && value.length === 0) return undefined;
  return value instanceof GoMap && value.entries.length === 0 ? undefined : value;
}

export function goJson(value: GoJson): string {
  if (typeof value === 'string') return goString(value);
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (value instanceof GoStruct) return braces(value.members);
  if (value instanceof GoMap) return braces(value.entries);
  return `[${value.map(goJson).join(',')}]`;
}

function braces(members: readonly (readonly [string, GoJson | undefined])[]): string {
  const parts: string[] = [];
  for (const [name, value] of members) if (value !== undefined) parts.push(`${goString(name)}:${goJson(value)}`);
  return `{${parts.join(',')}}`;
}

const escaped: Readonly<Record<string, string>> = {
  '<': String.raw`\u003c`,
  '>': String.raw`\u003e`,
  '&': String.raw`\u0026`,
  '\u2028': String.raw`\u2028`,
  '\u2029': String.raw`\u2029`,
};

/** Printable ASCII that Go writes as it is: nearly every text of a record. */
const plain = /^[ !#-%'-;=?-[\]-~]*$/;

function goString(text: string): string {
  if (plain.test(text)) return `"${text}"`;
  return JSON.stringify(text.toWellFormed()).replace(/[<>&\u2028\u2029]/g, (character) => escaped[character] ?? '');
}

/** Go compares strings by their UTF-8 bytes; JavaScript by UTF-16 units, which differs beyond U+FFFF. */
export function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

import { isAscii } from 'node:buffer';
import { ProtocolError } from '../../contract/index.ts';
import { isConsulEntry } from '../entry.ts';
import { RawEntry } from './raw-entry.ts';

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const open = 0x7b;
const close = 0x7d;

/** An object of a listing is larger than any value that Consul takes. */
const maxEntryBytes = 8 << 20;

type Outcome = 'entry' | 'incomplete' | 'odd';

/**
 * Reads a recursive listing of Consul as its bytes come in: `[{"LockIndex":…,"Key":…,"Value":…,"ModifyIndex":…}, …]`,
 * compact or indented. Looks only for the ends of fields; an object that is built in another way goes through
 * `JSON.parse`. Numbers beyond 2⁵³ and whatever is no such listing end in a `ProtocolError`.
 */
export class ListingScanner {
  readonly #onEntry: (entry: RawEntry) => void;
  readonly #entry = new RawEntry();
  #rest: Buffer = Buffer.alloc(0);
  #state: 'before' | 'inside' | 'after' = 'before';
  #position = 0;

  /** @param onEntry gets the same object each time, valid until it returns */
  constructor(onEntry: (entry: RawEntry) => void) {
    this.#onEntry = onEntry;
  }

  push(chunk: Buffer): void {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    // As text, nearly all of a listing can be read by comparing with what a server writes for sure.
    const text = isAscii(data) ? data.toString('latin1') : '';
    const plain = text !== '' && !text.includes('\\');
    for (;;) {
      if (plain && this.#state === 'inside') at = this.#plainObjects(data, text, at);
      at = skipSpace(data, at);
      if (at >= data.length) break;
      if (this.#state === 'after') throw new ProtocolError('Listing of Consul goes on after its end');
      if (this.#state === 'before') {
        if (data[at] !== 0x5b) throw new ProtocolError('Listing of Consul does not begin as a list');
        this.#state = 'inside';
        at += 1;
        continue;
      }
      const byte = data[at];
      if (byte === comma) {
        at += 1;
      } else if (byte === 0x5d) {
        this.#state = 'after';
        at += 1;
      } else if (byte === open) {
        const next = this.#object(data, at);
        if (next < 0) break;
        at = next;
      } else throw new ProtocolError('Listing of Consul has something other than objects');
    }
    // A short copy, so that the chunk can go.
    this.#rest = at >= data.length ? Buffer.alloc(0) : Buffer.from(data.subarray(at));
    if (this.#rest.length > maxEntryBytes) throw new ProtocolError('Listing of Consul has an entry without end');
  }

  /** @throws {ProtocolError} when the listing has not come to its end. */
  end(): void {
    if (this.#state !== 'after') throw new ProtocolError('Listing of Consul ends in the middle');
  }

  /**
   * Reads objects that look exactly as a server writes them: compact, in this order, without escapes. Gives where the
   * first one begins that does not, or is not all there.
   */
  #plainObjects(data: Buffer, text: string, from: number): number {
    const entry = this.#entry;
    let done = from;
    for (;;) {
      let at = text.charCodeAt(done) === comma ? done + 1 : done;
      if (!text.startsWith('{"LockIndex":', at)) return done;
      at = digitsEnd(text, at + 13);
      if (!text.startsWith(',"Key":"', at)) return done;
      const key = at + 8;
      const keyEnd = text.indexOf('"', key);
      if (keyEnd < 0 || !text.startsWith(',"Flags":', keyEnd + 1)) return done;
      at = digitsEnd(text, keyEnd + 10);
      if (!text.startsWith(',"Value":', at)) return done;
      let value = at + 9;
      let valueEnd = value;
      if (text.charCodeAt(value) === quote) {
        value += 1;
        valueEnd = text.indexOf('"', value);
        if (valueEnd < 0) return done;
        at = valueEnd + 1;
      } else if (text.startsWith('null', value)) at = value + 4;
      else return done;
      let session = '';
      if (text.startsWith(',"Session":"', at)) {
        const sessionEnd = text.indexOf('"', at + 12);
        if (sessionEnd < 0) return done;
        session = text.slice(at + 12, sessionEnd);
        at = sessionEnd + 1;
      }
      if (!text.startsWith(',"CreateIndex":', at)) return done;
      const created = at + 15;
      at = digitsEnd(text, created);
      const createIndex = integerOf(text, created, at);
      if (!text.startsWith(',"ModifyIndex":', at)) return done;
      const modified = at + 15;
      at = digitsEnd(text, modified);
      const modifyIndex = integerOf(text, modified, at);
      if (text.charCodeAt(at) !== close || createIndex < 0 || modifyIndex < 0) return done;
      entry.key = text.slice(key, keyEnd);
      entry.session = session;
      entry.createIndex = createIndex;
      entry.modifyIndex = modifyIndex;
      entry.setValue(data, value, valueEnd);
      this.#onEntry(entry);
      done = at + 1;
    }
  }

  /** Where the object that begins at `start` ends, its entry handed over; −1 when it is not all there. */
  #object(data: Buffer, start: number): number {
    this.#entry.reset();
    const outcome = this.#fields(data, start + 1);
    if (outcome === 'entry') {
      this.#onEntry(this.#entry);
      return this.#position;
    }
    if (outcome === 'incomplete') return -1;
    const end = endOfObject(data, start);
    if (end < 0) return -1;
    this.#parse(data.subarray(start, end));
    this.#onEntry(this.#entry);
    return end;
  }

  #fields(data: Buffer, from: number): Outcome {
    const entry = this.#entry;
    let at = from;
    let seen = 0;
    for (;;) {
      at = skipSpace(data, at);
      const byte = data[at];
      if (byte === undefined) return 'incomplete';
      if (byte === close) {
        this.#position = at + 1;
        // Key, Value, CreateIndex and ModifyIndex must have been there.
        return seen === 15 ? 'entry' : 'odd';
      }
      if (byte === comma) {
        at += 1;
        continue;
      }
      if (byte !== quote) return 'odd';
      const nameStart = at + 1;
      const nameEnd = data.indexOf(quote, nameStart);
      if (nameEnd < 0) return 'incomplete';
      at = skipSpace(data, nameEnd + 1);
      if (at >= data.length) return 'incomplete';
      if (data[at] !== colon) return 'odd';
      at = skipSpace(data, at + 1);
      if (at >= data.length) return 'incomplete';
      const name = fieldOf(data, nameStart, nameEnd);
      if (data[at] === quote) {
        const start = at + 1;
        const end = data.indexOf(quote, start);
        if (end < 0) return 'incomplete';
        if (name === 'Key' || name === 'Session') {
          const text = data.toString('utf8', start, end);
          if (text.includes('\\')) return 'odd';
          if (name === 'Key') {
            entry.key = text;
            seen |= 1;
          } else entry.session = text;
        } else if (name === 'Value') {
          entry.setValue(data, start, end);
          seen |= 2;
        } else if (name !== undefined || data.subarray(start, end).includes(backslash)) return 'odd';
        at = end + 1;
      } else {
        const start = at;
        while (at < data.length && isScalar(data[at])) at += 1;
        if (at >= data.length) return 'incomplete';
        if (at === start) return 'odd';
        if (name === 'CreateIndex' || name === 'ModifyIndex') {
          const value = integerAt(data, start, at);
          if (value < 0) return 'odd';
          if (name === 'CreateIndex') entry.createIndex = value;
          else entry.modifyIndex = value;
          seen |= name === 'CreateIndex' ? 4 : 8;
        } else if (name === 'Value') {
          if (data.toString('latin1', start, at) !== 'null') return 'odd';
          entry.setValue(data, start, start);
          seen |= 2;
        } else if (name !== undefined) return 'odd';
      }
    }
  }

  /** The slow way, for an object whose fields are not as expected. */
  #parse(source: Buffer): void {
    let value: unknown;
    try {
      value = JSON.parse(source.toString('utf8'));
    } catch (error) {
      throw new ProtocolError('Listing of Consul has an object that is no JSON', { cause: error });
    }
    if (!isConsulEntry(value)) throw new ProtocolError('Listing of Consul has an object that is no key');
    const entry = this.#entry;
    entry.key = value.Key;
    entry.createIndex = value.CreateIndex;
    entry.modifyIndex = value.ModifyIndex;
    entry.session = value.Session ?? '';
    const base64 = Buffer.from(value.Value ?? '', 'latin1');
    entry.setValue(base64, 0, base64.length);
  }
}

type FieldName = 'Key' | 'Value' | 'Session' | 'CreateIndex' | 'ModifyIndex';
const fieldNames = (['Key', 'Value', 'Session', 'CreateIndex', 'ModifyIndex'] as const).map((name: FieldName) => ({
  name,
  bytes: Buffer.from(name),
}));

/** Which of the fields that matter this is; any other is passed over. */
function fieldOf(data: Buffer, start: number, end: number): FieldName | undefined {
  const first = data[start];
  for (const { name, bytes } of fieldNames)
    if (bytes.length === end - start && bytes[0] === first && sameBytes(data, start, bytes)) return name;
  return undefined;
}

function sameBytes(data: Buffer, start: number, bytes: Buffer): boolean {
  for (let i = 1; i < bytes.length; i++) if (data[start + i] !== bytes[i]) return false;
  return true;
}

function skipSpace(data: Buffer, from: number): number {
  let at = from;
  for (let byte = data[at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = data[at]) at += 1;
  return at;
}

/** Digits and letters: numbers, null, true, false. */
function isScalar(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x7a));
}

function digitsEnd(text: string, from: number): number {
  let at = from;
  for (let code = text.charCodeAt(at); code >= 0x30 && code <= 0x39; code = text.charCodeAt(at)) at += 1;
  return at;
}

/** −1 for no digits at all, or a number beyond 2⁵³. */
function integerOf(text: string, start: number, end: number): number {
  if (start === end) return -1;
  let value = 0;
  for (let at = start; at < end; at++) value = value * 10 + text.charCodeAt(at) - 0x30;
  return Number.isSafeInteger(value) ? value : -1;
}

function integerAt(data: Buffer, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = (data[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return Number.isSafeInteger(value) ? value : -1;
}

/** The end of any JSON object, strings with braces and escapes included; −1 when it is not there yet. */
function endOfObject(data: Buffer, start: number): number {
  let depth = 0;
  let text = false;
  for (let at = start; at < data.length; at++) {
    const byte = data[at];
    if (text) {
      if (byte === backslash) at += 1;
      else if (byte === quote) text = false;
    } else if (byte === quote) text = true;
    else if (byte === open) depth += 1;
    else if (byte === close) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return -1;
}

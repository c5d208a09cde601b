import { decodeHuffman } from './huffman.ts';

/** Names and values that have a number (RFC 7541, appendix A); the first has number 1. */
const staticTable: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  ...['200', '204', '206', '304', '400', '404', '500'].map((status) => [':status', status] as const),
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...[
    'accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control',
    'content-disposition content-encoding content-language content-length content-location content-range content-type',
    'cookie date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since',
    'last-modified link location max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after',
    'server set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate',
  ]
    .join(' ')
    .split(' ')
    .map((name) => [name, ''] as const),
];

/** A block of headers that is not what RFC 7541 describes. */
export class HpackError extends Error {
  override readonly name = 'HpackError';
}

/**
 * Decodes a block of headers. We tell the other side to remember nothing between blocks (SETTINGS_HEADER_TABLE_SIZE 0), so
 * there is no table but the static one, and blocks may be skipped. Of a name that comes again the last value counts.
 * @throws {HpackError}
 */
export function decodeHeaders(block: Uint8Array): ReadonlyMap<string, string> {
  const reader = new BlockReader(block);
  const headers = new Map<string, string>();
  while (!reader.done) {
    const first = reader.peek();
    if ((first & 0x80) !== 0) {
      const [name, value] = entryOf(reader.integer(7));
      headers.set(name, value);
    } else if ((first & 0xe0) === 0x20) {
      if (reader.integer(5) !== 0) throw new HpackError('A table is announced that was not offered');
    } else {
      // With or without indexing: what would be kept has no room in a table of size 0.
      const index = reader.integer((first & 0xc0) === 0x40 ? 6 : 4);
      const name = index === 0 ? reader.text() : entryOf(index)[0];
      headers.set(name, reader.text());
    }
  }
  return headers;
}

/**
 * Headers as literals that nobody needs to remember, in the order given; names in small letters, all of it ASCII. The bytes
 * are in a block of their own: they may be kept.
 */
export function encodeHeaders(headers: readonly (readonly [name: string, value: string])[]): Buffer {
  const parts = headers.flatMap(([name, value]) => [Buffer.from([0]), encodeText(name), encodeText(value)]);
  const bytes = Buffer.allocUnsafeSlow(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) at += part.copy(bytes, at);
  return bytes;
}

function entryOf(index: number): readonly [name: string, value: string] {
  const entry = staticTable[index - 1];
  if (!entry) throw new HpackError(`There is no header number ${index}`);
  return entry;
}

function encodeText(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const length: number[] = [];
  let left = bytes.length;
  if (left < 0x7f) length.push(left);
  else {
    length.push(0x7f);
    for (left -= 0x7f; left >= 0x80; left = Math.floor(left / 128)) length.push((left % 128) | 0x80);
    length.push(left);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

class BlockReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  peek(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new HpackError('A block of headers ends early');
    return byte;
  }

  /** A number whose first part is the low `bits` of the next octet (§5.1). */
  integer(bits: number): number {
    const most = 2 ** bits - 1;
    let value = this.peek() & most;
    this.#at += 1;
    if (value < most) return value;
    for (let unit = 1; ; unit *= 128) {
      const byte = this.peek();
      this.#at += 1;
      value += (byte & 0x7f) * unit;
      if (value > 2 ** 28) throw new HpackError('A number in a block of headers is too large');
      if (byte < 0x80) return value;
    }
  }

  text(): string {
    const isHuffman = (this.peek() & 0x80) !== 0;
    const length = this.integer(7);
    const start = this.#at;
    if (length > this.#bytes.length - start) throw new HpackError('A block of headers ends early');
    this.#at += length;
    if (!isHuffman) return Buffer.from(this.#bytes.subarray(start, this.#at)).toString('latin1');
    const text = decodeHuffman(this.#bytes, start, this.#at);
    if (text === undefined) throw new HpackError('A header is not in the Huffman code');
    return text;
  }
}

import type { KeyValue } from '../../contract/index.ts';
import { ProtocolError } from '../../contract/index.ts';
import { ProtoReader, type ResponseHeader, keyValue, responseHeader } from '../wire/index.ts';
import { FieldScanner } from './field-scanner.ts';

// Tags of `RangeResponse`: field number and wire type in one byte.
const tag = { header: 0x0a, kv: 0x12, more: 0x18, count: 0x20 } as const;

/** Decodes one `RangeResponse` while it arrives. Entries are views of the chunks. */
export class RangeReader {
  readonly #scanner: FieldScanner;
  #entries: KeyValue[] = [];
  #messages = 0;
  header: ResponseHeader | undefined;
  more = false;
  count = 0;
  /** Bytes that came so far. */
  bytes = 0;

  constructor() {
    this.#scanner = new FieldScanner({
      field: (found, buffer, start, end) => this.#field(found, new ProtoReader(buffer, start, end)),
      end: () => void (this.#messages += 1),
    });
  }

  push(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    this.#scanner.push(chunk);
  }

  /** How many entries wait to be taken. */
  get waiting(): number {
    return this.#entries.length;
  }

  /** At most `max` of the entries that are whole. */
  take(max: number): KeyValue[] {
    if (this.#entries.length > max) return this.#entries.splice(0, max);
    const taken = this.#entries;
    this.#entries = [];
    return taken;
  }

  /** @throws {ProtocolError} unless exactly one message came, to its end, with a header. */
  finish(): ResponseHeader {
    if (this.#messages !== 1 || !this.#scanner.idle || !this.header)
      throw new ProtocolError(`Answer to a listing is not one whole message with a header (${this.bytes} bytes)`);
    return this.header;
  }

  #field(found: number, reader: ProtoReader): void {
    if (found === tag.kv) this.#entries.push(keyValue.read(reader));
    else if (found === tag.header) this.header = responseHeader.read(reader);
    else if (found === tag.more) this.more = reader.bool();
    else if (found === tag.count) this.count = reader.int64();
  }
}

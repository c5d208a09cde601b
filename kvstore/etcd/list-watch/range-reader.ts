import { ProtocolError } from '../../contract/index.ts';
import { ProtoReader, type ResponseHeader, responseHeader } from '../wire/index.ts';
import { ChangeColumns } from './change-columns.ts';
import { FieldScanner } from './field-scanner.ts';

// Tags of `RangeResponse`: field number and wire type in one byte.
const tag = { header: 0x0a, kv: 0x12, more: 0x18, count: 0x20 } as const;

/** A later etcd may have a field more; who sends nothing else would never come to an end. */
export const maxUnknownFields = 64;

/** Decodes one `RangeResponse` while it arrives. Entries are positions in the chunks. */
export class RangeReader {
  readonly #scanner: FieldScanner;
  #entries = new ChangeColumns();
  #messages = 0;
  #total = 0;
  #unknown = 0;
  readonly #limit: number;
  header: ResponseHeader | undefined;
  more = false;
  count = 0;
  /** Bytes that came so far. */
  bytes = 0;

  /** @param limit how many entries were asked for */
  constructor(limit: number = Number.MAX_SAFE_INTEGER) {
    this.#limit = limit;
    this.#scanner = new FieldScanner({
      field: (found, buffer, start, end) => this.#field(found, buffer, start, end),
      end: () => this.#endMessage(),
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
  take(max: number): ChangeColumns {
    if (this.#entries.length > max) return this.#entries.takeFirst(max);
    const taken = this.#entries;
    this.#entries = new ChangeColumns();
    return taken;
  }

  /** @throws {ProtocolError} unless exactly one message came, to its end, with a header. */
  finish(): ResponseHeader {
    if (this.#messages !== 1 || !this.#scanner.idle || !this.header)
      throw new ProtocolError(`Answer to a listing is not one whole message with a header (${this.bytes} bytes)`);
    return this.header;
  }

  #field(found: number, buffer: Uint8Array, start: number, end: number): void {
    if (found === tag.kv) {
      this.#total += 1;
      // Without it nothing can be handed over, so that all of it would have to be kept.
      if (!this.header) throw new ProtocolError('Answer to a listing does not begin with its header');
      if (this.#total > this.#limit)
        throw new ProtocolError(`Answer to a listing has more than the ${this.#limit} entries that were asked for`);
      this.#entries.push(buffer, start, end, false);
      return;
    }
    const reader = new ProtoReader(buffer, start, end);
    if (found === tag.header) this.header = responseHeader.read(reader);
    else if (found === tag.more) this.more = reader.bool();
    else if (found === tag.count) this.count = reader.int64();
    else if ((this.#unknown += 1) > maxUnknownFields)
      throw new ProtocolError('Answer to a listing is made of unknown fields');
  }

  #endMessage(): void {
    if ((this.#messages += 1) > 1) throw new ProtocolError('Answer to a listing is more than one message');
  }
}

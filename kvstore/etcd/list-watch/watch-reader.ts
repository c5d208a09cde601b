import type { KeyValue, WatchEvent } from '../../contract/index.ts';
import { ProtocolError, toText } from '../../contract/index.ts';
import { ProtoReader, type ResponseHeader, keyValue, responseHeader } from '../wire/index.ts';
import { FieldScanner } from './field-scanner.ts';

// Tags of `WatchResponse` and `mvccpb.Event`: field number and wire type in one byte.
const tag = {
  header: 0x0a,
  watchId: 0x10,
  created: 0x18,
  canceled: 0x20,
  compactRevision: 0x28,
  reason: 0x32,
} as const;
const eventsTag = 0x5a;
const eventTag = { type: 0x08, kv: 0x12 } as const;

/** A `WatchResponse` without its events. */
export interface WatchNotice {
  readonly header: ResponseHeader | undefined;
  /** −1 when it answers a manual progress request. */
  readonly watchId: bigint;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: number;
  readonly cancelReason: string;
  readonly events: number;
}

const emptyNotice: WatchNotice = {
  header: undefined,
  watchId: 0n,
  created: false,
  canceled: false,
  compactRevision: 0,
  cancelReason: '',
  events: 0,
};

/** Decodes `WatchResponse`s while they arrive. Keys and values are views of the chunks. */
export class WatchReader {
  readonly #scanner: FieldScanner;
  #events: WatchEvent[] = [];
  /** Events before this index belong to whole revisions. */
  #whole = 0;
  #lastRevision = 0;
  #notice: { -readonly [K in keyof WatchNotice]: WatchNotice[K] } = { ...emptyNotice };
  #notices: WatchNotice[] = [];

  constructor() {
    this.#scanner = new FieldScanner({
      field: (found, buffer, start, end) => this.#field(found, buffer, start, end),
      end: () => this.#endMessage(),
    });
  }

  push(chunk: Uint8Array): void {
    this.#scanner.push(chunk);
  }

  /** True between two responses. */
  get idle(): boolean {
    return this.#scanner.idle;
  }

  /** Events of whole revisions: a response never splits one, and within a response the next revision ends the last. */
  takeEvents(): WatchEvent[] {
    const taken = this.#events.splice(0, this.#whole);
    this.#whole = 0;
    return taken;
  }

  /** Responses that are complete; their events are to be taken first. */
  takeNotices(): WatchNotice[] {
    const taken = this.#notices;
    this.#notices = [];
    return taken;
  }

  #field(found: number, buffer: Uint8Array, start: number, end: number): void {
    const reader = new ProtoReader(buffer, start, end);
    const notice = this.#notice;
    if (found === eventsTag) this.#event(reader);
    else if (found === tag.header) notice.header = responseHeader.read(reader);
    else if (found === tag.watchId) notice.watchId = reader.bigInt64();
    else if (found === tag.created) notice.created = reader.bool();
    else if (found === tag.canceled) notice.canceled = reader.bool();
    else if (found === tag.compactRevision) notice.compactRevision = reader.int64();
    else if (found === tag.reason) notice.cancelReason = toText(buffer.subarray(start, end));
  }

  #event(reader: ProtoReader): void {
    let type = 0;
    let entry: KeyValue | undefined;
    while (!reader.done) {
      const found = reader.tag();
      if (found === eventTag.type) type = reader.uint32();
      else if (found === eventTag.kv) entry = reader.nested(readKeyValue);
      else reader.skip(found & 7);
    }
    if (!entry || type > 1) throw new ProtocolError('Cannot decode watch event: it is neither put nor delete');
    if (entry.modRevision !== this.#lastRevision) this.#whole = this.#events.length;
    this.#lastRevision = entry.modRevision;
    this.#notice.events += 1;
    this.#events.push(
      type === 0 ? { type: 'put', entry } : { type: 'delete', key: entry.key, revision: entry.modRevision },
    );
  }

  #endMessage(): void {
    this.#whole = this.#events.length;
    this.#notices.push(this.#notice);
    this.#notice = { ...emptyNotice };
  }
}

const readKeyValue = (reader: ProtoReader): KeyValue => keyValue.read(reader);

import { ProtocolError, toText } from '../../contract/index.ts';
import { ProtoReader, type ResponseHeader, responseHeader } from '../wire/index.ts';
import { ChangeColumns } from './change-columns.ts';
import { FieldScanner } from './field-scanner.ts';
import { maxUnknownFields } from './range-reader.ts';

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

/** A revision with more changes than this is nonsense: it has to be kept as a whole until its end has come. */
const maxEventsOfRevision = 2_000_000;

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

/** Decodes `WatchResponse`s while they arrive. Keys and values are positions in the chunks. */
export class WatchReader {
  readonly #scanner: FieldScanner;
  #events = new ChangeColumns();
  /** Events before this index belong to whole revisions. */
  #whole = 0;
  #lastRevision = 0;
  #unknown = 0;
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
  takeEvents(): ChangeColumns {
    const whole = this.#whole;
    this.#whole = 0;
    if (whole < this.#events.length) return this.#events.takeFirst(whole);
    const taken = this.#events;
    this.#events = new ChangeColumns();
    return taken;
  }

  /** Responses that are complete; their events are to be taken first. */
  takeNotices(): WatchNotice[] {
    const taken = this.#notices;
    this.#notices = [];
    return taken;
  }

  #field(found: number, buffer: Uint8Array, start: number, end: number): void {
    if (found === eventsTag) {
      this.#event(buffer, start, end);
      return;
    }
    const reader = new ProtoReader(buffer, start, end);
    const notice = this.#notice;
    if (found === tag.header) notice.header = responseHeader.read(reader);
    else if (found === tag.watchId) notice.watchId = reader.bigInt64();
    else if (found === tag.created) notice.created = reader.bool();
    else if (found === tag.canceled) notice.canceled = reader.bool();
    else if (found === tag.compactRevision) notice.compactRevision = reader.int64();
    else if (found === tag.reason) notice.cancelReason = toText(buffer.subarray(start, end));
    else if ((this.#unknown += 1) > maxUnknownFields)
      throw new ProtocolError('Watch response is made of unknown fields');
  }

  #event(buffer: Uint8Array, start: number, end: number): void {
    const reader = new ProtoReader(buffer, start, end);
    let type = 0;
    let from = -1;
    let to = -1;
    while (!reader.done) {
      const found = reader.tag();
      if (found === eventTag.type) type = reader.uint32();
      else if (found === eventTag.kv) {
        const length = reader.length();
        from = reader.position;
        to = from + length;
        reader.step(length);
      } else reader.skip(found & 7);
    }
    if (from < 0 || type > 1) throw new ProtocolError('Cannot decode watch event: it is neither put nor delete');
    this.#events.push(buffer, from, to, type === 1);
    const revision = this.#events.lastRevision;
    if (revision !== this.#lastRevision) this.#whole = this.#events.length - 1;
    else if (this.#events.length - this.#whole > maxEventsOfRevision)
      throw new ProtocolError(`Revision ${revision} has more than ${maxEventsOfRevision} events`);
    this.#lastRevision = revision;
    this.#notice.events += 1;
  }

  #endMessage(): void {
    this.#whole = this.#events.length;
    this.#notices.push(this.#notice);
    this.#notice = { ...emptyNotice };
    this.#unknown = 0;
  }
}

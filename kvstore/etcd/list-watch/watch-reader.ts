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

/** A notice whose header is decoded when it is taken. */
interface Pending {
  notice: { -readonly [K in keyof WatchNotice]: WatchNotice[K] };
  /** The header's bytes; none when the response had no header. */
  header: Uint8Array | undefined;
  headerStart: number;
  headerEnd: number;
}

/** Decodes `WatchResponse`s while they arrive. Keys and values are positions in the chunks. */
export class WatchReader {
  readonly #scanner: FieldScanner;
  #events = new ChangeColumns();
  /** Events before this index belong to whole revisions. */
  #whole = 0;
  #lastRevision = 0;
  #unknown = 0;
  #current = pending();
  #pending: Pending[] = [];

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

  /**
   * Responses that are complete; their events are to be taken first. Of a row of responses that bring nothing but events
   * there is one, with the last one's header: under a flood they come by thousands.
   */
  takeNotices(): WatchNotice[] {
    const taken = this.#pending;
    this.#pending = [];
    return taken.map(({ notice, header, headerStart, headerEnd }) =>
      header ? { ...notice, header: responseHeader.read(new ProtoReader(header, headerStart, headerEnd)) } : notice,
    );
  }

  #field(found: number, buffer: Uint8Array, start: number, end: number): void {
    if (found === eventsTag) {
      this.#event(buffer, start, end);
      return;
    }
    if (found === tag.header) {
      this.#current.header = buffer;
      this.#current.headerStart = start;
      this.#current.headerEnd = end;
      return;
    }
    const reader = new ProtoReader(buffer, start, end);
    const { notice } = this.#current;
    if (found === tag.watchId) notice.watchId = reader.bigInt64();
    else if (found === tag.created) notice.created = reader.bool();
    else if (found === tag.canceled) notice.canceled = reader.bool();
    else if (found === tag.compactRevision) notice.compactRevision = reader.int64();
    else if (found === tag.reason) notice.cancelReason = toText(buffer.subarray(start, end));
    else if ((this.#unknown += 1) > maxUnknownFields)
      throw new ProtocolError('Watch response is made of unknown fields');
  }

  #event(buffer: Uint8Array, start: number, end: number): void {
    // What nearly every event is: a put, which is not said, with an entry of 128 bytes to 16 KiB and nothing else.
    const low = buffer[start + 1] as number;
    const high = buffer[start + 2] as number;
    if (buffer[start] === eventTag.kv && low >= 0x80 && high < 0x80 && start + 3 + (low & 0x7f) + high * 128 === end)
      this.#add(buffer, start + 3, end, false);
    else this.#readEvent(buffer, start, end);
  }

  #readEvent(buffer: Uint8Array, start: number, end: number): void {
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
    this.#add(buffer, from, to, type === 1);
  }

  #add(buffer: Uint8Array, from: number, to: number, isDelete: boolean): void {
    this.#events.push(buffer, from, to, isDelete);
    const revision = this.#events.lastRevision;
    if (revision !== this.#lastRevision) this.#whole = this.#events.length - 1;
    else if (this.#events.length - this.#whole > maxEventsOfRevision)
      throw new ProtocolError(`Revision ${revision} has more than ${maxEventsOfRevision} events`);
    this.#lastRevision = revision;
    this.#current.notice.events += 1;
  }

  #endMessage(): void {
    this.#whole = this.#events.length;
    this.#unknown = 0;
    const current = this.#current;
    const before = this.#pending.at(-1);
    if (before && isPlain(before) && isPlain(current) && sameStore(before, current)) {
      before.header = current.header;
      before.headerStart = current.headerStart;
      before.headerEnd = current.headerEnd;
      before.notice.events += current.notice.events;
      current.header = undefined;
      current.notice.events = 0;
      return;
    }
    this.#pending.push(current);
    this.#current = pending();
  }
}

function pending(): Pending {
  return { notice: { ...emptyNotice }, header: undefined, headerStart: 0, headerEnd: 0 };
}

/** Nothing but events. */
function isPlain({ notice, header }: Pending): boolean {
  const { events, created, canceled, watchId, compactRevision, cancelReason } = notice;
  return (
    events > 0 &&
    header !== undefined &&
    !created &&
    !canceled &&
    watchId === 0n &&
    compactRevision === 0 &&
    cancelReason === ''
  );
}

/** Field 3 of a header, the revision, as tag: in front of it are the ids of cluster and member. */
const revisionTag = 0x18;

/** Whether two headers say the same up to the revision. Where they do not, or have another form, each is looked at. */
function sameStore(a: Pending, b: Pending): boolean {
  const left = a.header;
  const right = b.header;
  if (!left || !right || left[a.headerStart] !== 0x08) return false;
  for (let i = 0; a.headerStart + i < a.headerEnd && b.headerStart + i < b.headerEnd; i++) {
    const byte = left[a.headerStart + i];
    if (byte !== right[b.headerStart + i]) return false;
    // The ids are numbers of up to ten bytes, in which the tag may occur: only behind both is it the tag.
    if (byte === revisionTag && idsEnd(left, a.headerStart, a.headerEnd) === a.headerStart + i) return true;
  }
  return false;
}

/** Position behind the two ids at the start of a header. */
function idsEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  for (const tag of [0x08, 0x10]) {
    if (bytes[at] !== tag) continue;
    at += 1;
    while (at < end && (bytes[at] as number) >= 0x80) at += 1;
    at += 1;
  }
  return at;
}

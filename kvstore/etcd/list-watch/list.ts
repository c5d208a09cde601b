import type { Clock } from '../../../runtime/clock/index.ts';
import { linkedController } from '../../../runtime/tasks/index.ts';
import { ProtocolError, toText } from '../../contract/index.ts';
import type { CallStream, Connection, EtcdSession } from '../session/index.ts';
import { PageRoom } from '../http2/index.ts';
import { GrpcError, hasNoQuorum } from '../session/index.ts';
import { type ResponseHeader, encodeFrame, methods } from '../wire/index.ts';
import type { ChangeColumns } from './change-columns.ts';
import { PageSizer } from './page-sizer.ts';
import { RangeReader } from './range-reader.ts';
import { rangeOf } from './range-of.ts';
import { TimeSlice } from './time-slice.ts';

export interface ListSettings {
  readonly prefix: Uint8Array;
  /** For messages. */
  readonly what: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** At most this many entries come at a time. */
  readonly batchSize: number;
  /** At most this many entries are asked for at a time. */
  readonly maxPage?: number;
  /** The state of this revision; 0: of the first answer. */
  readonly revision: number;
  /** Only what comes behind this key. */
  readonly after?: Uint8Array | undefined;
  /** What entries lie in may be used again as soon as the next part is asked for. */
  readonly lent: boolean;
  /** Whether a page fails that is silent for as long as a call may take; a watch goes by the life of its connection. */
  readonly impatient?: boolean;
  /** Where the members have lost their quorum, what the one we are connected to knows will do: no more can be had. */
  readonly withoutQuorum: boolean;
}

/** Why nothing more is read. Made once: an error's stack costs as much as a small listing. */
const listed = new DOMException('The listing is over', 'AbortError');

/** Entries of one revision, in order of their keys; `last` on the last part of the listing. */
export interface ListPart {
  readonly entries: ChangeColumns;
  readonly header: ResponseHeader;
  readonly revision: number;
  readonly last: boolean;
}

/**
 * Reads a prefix at one revision over one connection, page by page. The next page is asked for before the consumer gets
 * this one: the server prepares it meanwhile, which takes it as long as we take to work on a page. At least one part comes.
 *
 * A member that lags behind the others could answer without what was acknowledged elsewhere, so the first page is read
 * through the leader (linearizable). Behind it the member has caught up, and the pages that follow are its own affair.
 */
export async function* listParts(
  session: EtcdSession,
  connection: Connection,
  settings: ListSettings,
): AsyncGenerator<ListPart, void, void> {
  using reading = linkedController(settings.signal);
  const slice = new TimeSlice(settings.clock);
  const sizer = new PageSizer();
  const read = (from: Pick<ListSettings, 'revision' | 'after'>, serializable: boolean): Promise<WholePage> => {
    const wanted = { ...settings, ...from, serializable, signal: reading.signal };
    const page = wholePage(session, connection, wanted, sizer);
    // Whoever waits for it learns of a failure; nobody may.
    page.catch(() => undefined);
    return page;
  };
  const readFirst = (): Promise<WholePage> =>
    read(settings, false).catch((error: unknown) => {
      if (!settings.withoutQuorum || !hasNoQuorum(error)) throw error;
      return read(settings, true);
    });
  let next: Promise<WholePage> | undefined = readFirst();
  try {
    while (next) {
      const { parts, revision, after, more, failure, room }: WholePage = await next;
      using _room = room;
      next = more && !failure ? read({ revision, after }, true) : undefined;
      for (const [i, part] of parts.entries()) {
        yield { ...part, revision, last: !more && i === parts.length - 1 };
        if (settings.lent) part.entries.release();
        await slice.giveWay();
      }
      if (failure) throw failure.error;
      slice.restart();
    }
  } finally {
    reading.abort(listed);
    (await next?.catch(() => undefined))?.room?.[Symbol.dispose]();
  }
}

interface PageSettings extends ListSettings {
  readonly serializable: boolean;
}

interface WholePage {
  /** What the parts lie in, to be disposed of behind them. */
  readonly room: PageRoom | undefined;
  readonly parts: readonly Pick<ListPart, 'entries' | 'header'>[];
  readonly revision: number;
  /** The last key so far. */
  readonly after: Uint8Array | undefined;
  readonly more: boolean;
  /** What ended the page early: a link that never lasts for a page still gets on, part by part. */
  readonly failure?: { readonly error: unknown };
}

async function wholePage(
  session: EtcdSession,
  connection: Connection,
  settings: PageSettings,
  sizer: PageSizer,
): Promise<WholePage> {
  const limit = Math.min(sizer.limit, settings.maxPage ?? Number.MAX_SAFE_INTEGER);
  const reader = new RangeReader(limit);
  const slice = new TimeSlice(settings.clock);
  const parts: Pick<ListPart, 'entries' | 'header'>[] = [];
  let { revision, after } = settings;
  let entriesOfPage = 0;
  const room = settings.lent ? new PageRoom() : undefined;
  try {
    for await (const part of page(session, connection, settings, { revision, after, limit, reader, slice, room })) {
      checkOrder(settings, part.entries, after);
      entriesOfPage += part.entries.length;
      if (part.whole) checkPage(settings, reader, entriesOfPage);
      revision = part.revision;
      after = lastKeyOf(part.entries) ?? after;
      parts.push({ entries: part.entries, header: part.header });
    }
  } catch (error) {
    if (parts.length > 0) return { room, parts, revision, after, more: true, failure: { error } };
    room?.[Symbol.dispose]();
    throw error;
  }
  sizer.observe(reader.bytes, entriesOfPage);
  return { room, parts, revision, after, more: reader.more };
}

interface PageRequest {
  readonly revision: number;
  readonly after: Uint8Array | undefined;
  readonly limit: number;
  readonly reader: RangeReader;
  readonly slice: TimeSlice;
  readonly room: PageRoom | undefined;
}

interface PagePart {
  readonly entries: ChangeColumns;
  readonly header: ResponseHeader;
  readonly revision: number;
  readonly more: boolean;
  /** The page has ended well. */
  readonly whole: boolean;
}

async function* page(
  session: EtcdSession,
  connection: Connection,
  settings: PageSettings,
  { revision, after, limit, reader, slice, room }: PageRequest,
): AsyncGenerator<PagePart, void, void> {
  const { prefix, signal, batchSize, serializable } = settings;
  const range = rangeOf(prefix);
  const key = after ? successor(after) : range.key;
  // No sort order: keys come in their order anyway, and asking for it makes etcd read everything for each page.
  const request = { key, rangeEnd: range.rangeEnd, limit, revision, serializable };
  // It counts as a request, but not as one in flight: how long a page takes is up to who consumes it.
  (await session.permit(signal))[Symbol.dispose]();
  const call = await session.open(connection, methods.range.path, {}, room);
  const onAbort = (): void => call.fail(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const part = (entries: ChangeColumns, header: ResponseHeader, whole: boolean): PagePart => ({
    entries,
    header,
    revision: revision === 0 ? header.revision : revision,
    more: reader.more,
    whole,
  });
  try {
    signal.throwIfAborted();
    call.end(encodeFrame(methods.range.request, request));
    for (;;) {
      if (!call.ready) slice.restart();
      const chunks = await (settings.impatient === true ? readInTime(session, call, settings) : call.read());
      if (!chunks) break;
      for (const chunk of chunks) {
        reader.push(chunk);
        while (reader.waiting > batchSize && reader.header)
          yield part(reader.take(batchSize), session.observe(reader.header, settings.what), false);
        await slice.giveWay();
      }
    }
    const header = session.observe(reader.finish(), settings.what);
    while (reader.waiting > batchSize) yield part(reader.take(batchSize), header, false);
    yield part(reader.take(batchSize), header, true);
  } catch (error) {
    throw error instanceof GrpcError ? session.refusal(connection, error, settings.what, revision) : error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    call.fail(undefined);
  }
}

/** What comes next, as long as it comes within the time of a call. */
async function readInTime(
  session: EtcdSession,
  call: CallStream,
  { what, signal }: ListSettings,
): ReturnType<CallStream['read']> {
  using deadline = session.deadline({ what, signal });
  deadline.signal.addEventListener('abort', () => call.fail(deadline.signal.reason), { once: true });
  return await call.read();
}

/** Entries that come again, or are not of the prefix: such a listing might never end. @throws {ProtocolError} */
function checkOrder({ what, prefix }: ListSettings, entries: ChangeColumns, after: Uint8Array | undefined): void {
  if (entries.length === 0) return;
  const first = entries.keyAt(0);
  const last = entries.keyAt(entries.length - 1);
  if ((after && Buffer.compare(first, after) <= 0) || Buffer.compare(last, first) < 0)
    throw new ProtocolError(`Cannot ${what}: the store’s answer is not in the order of keys`);
  const strange = [first, last].find((key) => Buffer.compare(key.subarray(0, prefix.length), prefix) !== 0);
  if (strange) throw new ProtocolError(`Cannot ${what}: the store answers with ${JSON.stringify(toText(strange))}`);
}

/** A page that would be followed by itself, or that lacks what it says there is. @throws {ProtocolError} */
function checkPage({ what }: ListSettings, reader: RangeReader, entries: number): void {
  if (reader.more && entries === 0) throw new ProtocolError(`Cannot ${what}: a page without entries promises more`);
  if (!reader.more && reader.count !== entries)
    throw new ProtocolError(`Cannot ${what}: the last page has ${entries} entries of ${reader.count}`);
}

/** A copy of the last key. */
export function lastKeyOf(entries: ChangeColumns): Uint8Array | undefined {
  return entries.length === 0 ? undefined : new Uint8Array(entries.keyAt(entries.length - 1));
}

/** The first key behind `key`. */
function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

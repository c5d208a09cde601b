import type { Clock } from '../../../runtime/clock/index.ts';
import { CompactedError, UnavailableError } from '../../contract/index.ts';
import { type Connection, type EtcdSession, GrpcError } from '../session/index.ts';
import { encodeFrame, grpcStatus, methods } from '../wire/index.ts';
import type { ChangeColumns } from './change-columns.ts';
import { rangeOf } from './range-of.ts';
import { TimeSlice } from './time-slice.ts';
import { type WatchNotice, WatchReader } from './watch-reader.ts';

export interface WatchSettings {
  readonly prefix: Uint8Array;
  readonly what: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly startRevision: number;
}

/** Events come before the notices of the responses that brought them. */
export type WatchPart =
  | { readonly type: 'events'; readonly events: ChangeColumns }
  | { readonly type: 'notice'; readonly notice: WatchNotice };

/**
 * One watch over one connection. It only ends by an error.
 * @throws {CompactedError} when the start revision is compacted; {@link UnavailableError} when the stream ends
 */
export async function* watchParts(
  session: EtcdSession,
  connection: Connection,
  settings: WatchSettings,
): AsyncGenerator<WatchPart, void, void> {
  const { prefix, what, clock, signal, startRevision } = settings;
  const call = await session.open(connection, methods.watch.path, { hasleader: 'true' });
  const onAbort = (): void => call.fail(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const created = session.deadline({ what: `${what}: watch not created`, signal });
  created.signal.addEventListener('abort', () => call.fail(created.signal.reason), { once: true });
  const slice = new TimeSlice(clock);
  const reader = new WatchReader();
  try {
    signal.throwIfAborted();
    // Fragments would keep responses small, but cost etcd time that grows with the square of their number.
    const create = { ...rangeOf(prefix), startRevision, progressNotify: true };
    call.send(encodeFrame(methods.watch.request, { create }));
    for (;;) {
      if (!call.ready) slice.restart();
      const chunks = await call.read();
      if (!chunks) throw new UnavailableError(`Cannot ${what}: the store ended the stream`);
      for (const [i, chunk] of chunks.entries()) {
        reader.push(chunk);
        if (i < chunks.length - 1 && !slice.over) continue;
        const events = reader.takeEvents();
        if (events.length > 0) yield { type: 'events', events };
        for (const notice of reader.takeNotices()) {
          session.observe(notice.header, what);
          if (notice.created) created[Symbol.dispose]();
          if (notice.canceled) throw cancellation(session, connection, notice, what);
          yield { type: 'notice', notice };
        }
        await slice.giveWay();
      }
    }
  } catch (error) {
    throw error instanceof GrpcError ? session.refusal(connection, error, what, startRevision) : error;
  } finally {
    created[Symbol.dispose]();
    signal.removeEventListener('abort', onAbort);
    call.fail(undefined);
  }
}

function cancellation(session: EtcdSession, connection: Connection, notice: WatchNotice, what: string): Error {
  if (notice.compactRevision !== 0) return new CompactedError(what, notice.compactRevision);
  const reason = notice.cancelReason;
  // The reason is all there is: a cancelled watch has no status.
  if (/permission denied|invalid auth token|user name is empty/.test(reason))
    return session.refusal(connection, new GrpcError(grpcStatus.permissionDenied, reason), what);
  return new UnavailableError(`Cannot ${what}: cancelled by the store${reason === '' ? '' : ` (${reason})`}`);
}

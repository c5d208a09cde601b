import type { Clock } from '../../../runtime/clock/index.ts';
import { fields, type Logger } from '../../../runtime/log/index.ts';
import { exponential } from '../../../runtime/retry/index.ts';
import {
  CompactedError,
  FutureRevisionError,
  KvStoreError,
  type RestartReason,
  StoreReplacedError,
  type WatchBatch,
} from '../../contract/index.ts';
import type { Connection, EtcdSession } from '../session/index.ts';
import { listParts } from './list.ts';
import type { Landmarks } from './landmarks.ts';
import { OtherHistoryError, checkRepeated } from './other-history.ts';
import { Position } from './position.ts';
import { recognise } from './recognise.ts';
import { watchParts } from './watch.ts';

export interface FollowOptions {
  readonly prefix: Uint8Array;
  /** For messages: the prefix as text. */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Upper bound of entries per batch of a listing. */
  readonly batchSize: number;
  /** At most this many entries are asked for at a time. */
  readonly maxPage?: number;
  readonly random: () => number;
  /** What all that are followed over the session have seen. */
  readonly landmarks?: Landmarks;
  /** Makes the memory of what was seen. Tests hand in one that is wrong, to see whether they notice. */
  readonly createPosition?: () => Position;
}

const backoff = exponential({ firstMs: 50, maxMs: 2000 });
/** After so long without trouble the next failure is the first again. */
const healthyAfterMs = 10_000;

/**
 * Lists a prefix, then follows it until the signal aborts. Goes on exactly where it was after any loss of connection, in
 * the middle of a listing too; starts over where it cannot prove that nothing is missed.
 */
export async function* follow(session: EtcdSession, options: FollowOptions): AsyncGenerator<WatchBatch, void, void> {
  const { clock, log, signal, random, name } = options;
  const createPosition = options.createPosition ?? (() => new Position());
  let position: Position | undefined;
  let reason: RestartReason = 'start';
  let failures = 0;
  while (!signal.aborted) {
    const started = clock.monotonicMs();
    let connection: Connection | undefined;
    try {
      connection = await session.connection(signal);
      if (position && position.revision > 0) {
        remark(position, options);
        const verdict = await recognise(position, options.prefix, session, connection, signal);
        if (verdict !== 'same') {
          if (verdict === 'store-replaced') options.landmarks?.forget(position.era);
          reason = verdict;
          position = undefined;
        }
      }
      if (!position) {
        position = createPosition();
        position.era = options.landmarks?.era ?? 0;
        yield { type: 'restart', reason };
      }
      if (!position.listed) yield* finishListing(session, connection, position, options);
      yield* watchOn(session, connection, position, options);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof KvStoreError) || error.retry === 'never' || error instanceof StoreReplacedError)
        throw error;
      const restart = restartReason(error);
      if (error instanceof CompactedError && position?.provenTo !== undefined && !position.forgotten) {
        // Only what is to be repeated may be compacted, which is looked at in another way then.
        position.forgotten = true;
      } else if (restart) {
        if (restart === 'store-replaced' && position) options.landmarks?.forget(position.era);
        reason = restart;
        position = undefined;
      }
      log.debug('Following a prefix was interrupted', { [fields.prefix]: name, [fields.error]: error });
      // Where the connection is gone, making the next one takes its own time.
      if (connection?.usable === false) continue;
      failures = clock.monotonicMs() - started >= healthyAfterMs ? 1 : failures + 1;
      await clock.sleep(backoff(failures, random()), signal).catch(() => undefined);
    }
  }
}

function restartReason(error: KvStoreError): RestartReason | undefined {
  if (error instanceof CompactedError) return 'compacted';
  return error instanceof FutureRevisionError || error instanceof OtherHistoryError ? 'store-replaced' : undefined;
}

/** Up to where others have seen the store, no further than was handed over here. */
function remark(position: Position, { landmarks }: FollowOptions): void {
  const landmark = landmarks?.upTo(position.revision, position.era);
  if (landmark && landmark.modRevision > (position.landmark?.modRevision ?? 0)) position.landmark = landmark;
}

async function* finishListing(
  session: EtcdSession,
  connection: Connection,
  position: Position,
  options: FollowOptions,
): AsyncGenerator<WatchBatch, void, void> {
  const { prefix, name, clock, signal, batchSize, maxPage } = options;
  const parts = listParts(session, connection, {
    prefix,
    clock,
    signal,
    batchSize,
    ...(maxPage === undefined ? {} : { maxPage }),
    what: `list ${name}`,
    revision: position.listRevision,
    after: position.lastKey,
    withoutQuorum: true,
    lent: true,
  });
  for await (const { entries, header, revision } of parts) {
    position.observe(header);
    position.listRevision = revision;
    if (entries.length === 0) continue;
    position.applyEntries(entries);
    yield entries.batch(revision);
  }
  position.finishListing();
  options.landmarks?.note(position.recent.last, position.era);
  remark(position, options);
  yield { type: 'synced', revision: position.listRevision };
}

async function* watchOn(
  session: EtcdSession,
  connection: Connection,
  position: Position,
  options: FollowOptions,
): AsyncGenerator<WatchBatch, void, void> {
  const { prefix, name, clock, signal } = options;
  const { provenTo } = position;
  const parts = watchParts(session, connection, {
    prefix,
    clock,
    signal,
    what: `watch ${name}`,
    startRevision: provenTo === undefined ? position.next : provenTo + 1,
  });
  for await (const part of parts) {
    if (part.type === 'events') {
      if (provenTo !== undefined) checkRepeated(part.events, position, `watch ${name}`);
      position.applyEvents(part.events);
      options.landmarks?.note(position.recent.last, position.era);
      yield part.events.batch(part.events.lastRevision);
      continue;
    }
    position.applyNotice(part.notice);
    remark(position, options);
    if (part.notice.header) position.observe(part.notice.header);
  }
}

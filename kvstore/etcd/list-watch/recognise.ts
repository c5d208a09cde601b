import {
  CompactedError,
  FutureRevisionError,
  PermissionDeniedError,
  type RestartReason,
} from '../../contract/index.ts';
import type { Connection, EtcdSession } from '../session/index.ts';
import { methods, txnOutcome } from '../wire/index.ts';
import { type EvidenceOptions, evidenceFor } from './evidence.ts';
import type { Position } from './position.ts';

/** Replaying costs the server more than listing beyond this many revisions (it replays 1,000 per 100 ms). */
const replayableRevisions = 5000;
const keysPerRevision = 50;
const nothing = { kvs: [], count: 0 };
const reading = { ...methods.txn, response: txnOutcome };

/**
 * Finds out whether the store behind a new connection is still the one that `position` was reached in, and whether to go
 * on from there. A wiped etcd may come back with the same ids and accept any revision, silently: so keys are looked up, all
 * at once, that only the old store can have in this state. An older copy has these keys, too, where they are older than it; it
 * may have grown beyond the position: then `provenTo` says from where on it has to be watched. What the store has forgotten
 * or may not tell is done without. A transport error is no verdict: it is thrown.
 */
export async function recognise(
  position: Position,
  prefix: Uint8Array,
  session: EtcdSession,
  connection: Connection,
  signal: AbortSignal,
  options: EvidenceOptions = {},
): Promise<'same' | RestartReason> {
  const { revision } = position;
  const settings = { what: 'recognise the store', signal, revision };
  using deadline = session.deadline(settings);
  const { checks, upTo, looksBack } = evidenceFor(position, prefix, options);
  try {
    const answer = await session.callOn(
      connection,
      reading,
      { success: checks.map(({ question }) => ({ range: question })) },
      { ...settings, signal: deadline.signal },
    );
    const { header, responses } = answer;
    if (!header || !position.knows(header) || header.revision < revision) return 'store-replaced';
    const isSame = checks.every(({ holds }, i) => holds(responses[i]?.range ?? nothing));
    if (!isSame) return 'store-replaced';
    position.observe(header);
    // Between what is proven and what was handed over, nothing has happened under the prefix: the watch is to show that.
    position.provenTo = upTo < revision ? upTo : undefined;
    const behind = header.revision - revision;
    if (position.listed && behind > Math.max(replayableRevisions, position.keys / keysPerRevision))
      return 'too-far-behind';
    return 'same';
  } catch (error) {
    if (deadline.signal.aborted) throw deadline.signal.reason;
    const hidesPast = error instanceof CompactedError || error instanceof PermissionDeniedError;
    if (looksBack && hidesPast)
      return await recognise(position, prefix, session, connection, signal, { presentOnly: true });
    if (error instanceof CompactedError) return 'compacted';
    if (error instanceof FutureRevisionError) return 'store-replaced';
    throw error;
  }
}

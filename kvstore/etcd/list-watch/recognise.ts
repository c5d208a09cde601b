import { CompactedError, FutureRevisionError, type RestartReason } from '../../contract/index.ts';
import type { Connection, EtcdSession } from '../session/index.ts';
import { methods } from '../wire/index.ts';
import { matches } from './fingerprint.ts';
import type { Position } from './position.ts';
import { rangeOf } from './range-of.ts';

/** Replaying costs the server more than listing beyond this many revisions (it replays 1,000 per 100 ms). */
const replayableRevisions = 5000;
const keysPerRevision = 50;

/**
 * Finds out whether the store behind a new connection is still the one that `position` was reached in, and whether to go
 * on from there. A wiped etcd may come back with the same ids and accept any revision, silently: so a key is looked up
 * that only the old store can have in this state. A transport error is no verdict: it is thrown.
 */
export async function recognise(
  position: Position,
  prefix: Uint8Array,
  session: EtcdSession,
  connection: Connection,
  signal: AbortSignal,
): Promise<'same' | RestartReason> {
  const { revision } = position;
  const settings = { what: 'recognise the store', signal, revision };
  using deadline = session.deadline(settings);
  const proof = position.recent.newest;
  // Nothing exists under the prefix: if that is true of this store at that revision too, it is as good as the old one.
  const question = proof ? { key: proof.key } : { ...rangeOf(prefix), countOnly: true };
  try {
    const answer = await session.callOn(
      connection,
      methods.range,
      { ...question, revision },
      { ...settings, signal: deadline.signal },
    );
    const { header } = answer;
    if (!header || !position.knows(header) || header.revision < revision) return 'store-replaced';
    if (proof ? !matches(proof, answer.kvs[0]) : answer.count !== position.keys) return 'store-replaced';
    position.observe(header);
    const behind = header.revision - revision;
    if (position.listed && behind > Math.max(replayableRevisions, position.keys / keysPerRevision))
      return 'too-far-behind';
    return 'same';
  } catch (error) {
    if (deadline.signal.aborted) throw deadline.signal.reason;
    if (error instanceof CompactedError) return 'compacted';
    if (error instanceof FutureRevisionError) return 'store-replaced';
    throw error;
  }
}

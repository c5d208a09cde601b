import { CompactedError, FutureRevisionError, type RestartReason } from '../../contract/index.ts';
import type { Connection, EtcdSession } from '../session/index.ts';
import { methods, txnOutcome } from '../wire/index.ts';
import { matches } from './fingerprint.ts';
import type { Position } from './position.ts';
import { rangeOf } from './range-of.ts';

/** Replaying costs the server more than listing beyond this many revisions (it replays 1,000 per 100 ms). */
const replayableRevisions = 5000;
const keysPerRevision = 50;
const reading = { ...methods.txn, response: txnOutcome };

/**
 * Finds out whether the store behind a new connection is still the one that `position` was reached in, and whether to go
 * on from there. A wiped etcd may come back with the same ids and accept any revision, silently: so keys are looked up, all
 * at once, that only the old store can have in this state. A transport error is no verdict: it is thrown.
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
  const proofs = position.recent.all;
  // Nothing exists under the prefix: if that is true of this store at that revision too, it is as good as the old one.
  const questions =
    proofs.length > 0 ? proofs.map(({ key }) => ({ key })) : [{ ...rangeOf(prefix), countOnly: true } as const];
  try {
    const answer = await session.callOn(
      connection,
      reading,
      { success: questions.map((question) => ({ range: { ...question, revision } })) },
      { ...settings, signal: deadline.signal },
    );
    const { header, responses } = answer;
    if (!header || !position.knows(header) || header.revision < revision) return 'store-replaced';
    const isSame =
      proofs.length > 0
        ? proofs.every((proof, i) => matches(proof, responses[i]?.range?.kvs[0]))
        : responses[0]?.range?.count === position.keys;
    if (!isSame) return 'store-replaced';
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

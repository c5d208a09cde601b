import type { KeyValue } from '../../contract/index.ts';
import { type Fingerprint, matches } from './fingerprint.ts';
import type { Position } from './position.ts';
import { rangeOf } from './range-of.ts';

/** One range to be read, as `RangeRequest` has it. */
interface Question {
  readonly key: Uint8Array;
  readonly rangeEnd?: Uint8Array;
  readonly countOnly?: boolean;
  readonly keysOnly?: boolean;
  readonly limit?: number;
  readonly minModRevision?: number;
  readonly revision: number;
}

interface Answer {
  readonly kvs: readonly KeyValue[];
  readonly count: number;
}

interface Check {
  readonly question: Question;
  readonly holds: (answer: Answer) => boolean;
}

/** What only the store that we know can answer in one way, all to be read at once. */
export interface Evidence {
  readonly checks: readonly Check[];
  /**
   * Up to this revision the store has what we know, if everything holds. Where that is less than what was handed over, an
   * older copy may have come in the place of the store and have grown since: then a watch from there on shows it.
   */
  readonly upTo: number;
}

/** Watching again what was watched costs the server more than looking at all keys, beyond this many revisions. */
const repeatableRevisions = 5000;

/** What is to be asked before `position` counts as one in the store that answers. */
export function evidenceFor(position: Position, prefix: Uint8Array): Evidence {
  const { revision, recent, lastDelete, landmark } = position;
  const recents = recent.all;
  const checks = recents.map((proof) => exactly(proof, revision));
  const count: Check = {
    question: { ...rangeOf(prefix), countOnly: true, revision },
    holds: (answer) => answer.count === position.keys,
  };
  if (!position.listed) return { checks: checks.length > 0 ? checks : [count], upTo: revision };
  // Nothing exists under the prefix: if that is true of this store at that revision too, it is as good as the old one.
  if (position.keys === 0) return { checks: [...checks, count], upTo: revision };
  let upTo = recents.reduce((newest, { modRevision }) => Math.max(newest, modRevision), 0);
  if (landmark && landmark.modRevision > upTo) {
    checks.push(exactly(landmark, landmark.modRevision));
    upTo = landmark.modRevision;
  }
  if (lastDelete && lastDelete.revision > upTo) {
    const { key, revision: gone } = lastDelete;
    checks.push({ question: { key, revision: gone - 1 }, holds: ({ kvs }) => kvs.length === 1 });
    checks.push({ question: { key, revision: gone }, holds: ({ kvs }) => kvs.length === 0 });
    upTo = gone;
  }
  if (upTo === revision) return { checks, upTo };
  // Before the listing things came and went that we have not seen, and would see now.
  const isRepeatable = upTo >= position.listRevision && revision - upTo <= repeatableRevisions;
  if (isRepeatable && !position.forgotten) return { checks, upTo };
  const newer = { ...rangeOf(prefix), keysOnly: true, limit: 1, minModRevision: upTo + 1, revision };
  checks.push(count, { question: newer, holds: ({ kvs }) => kvs.length === 0 });
  return { checks, upTo: revision };
}

function exactly(proof: Fingerprint, revision: number): Check {
  return { question: { key: proof.key, revision }, holds: ({ kvs }) => matches(proof, kvs[0]) };
}

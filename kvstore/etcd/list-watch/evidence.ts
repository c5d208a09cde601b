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
  /** A store may know no more of the time that is asked for although it knows the position, or not tell this client of another's key. */
  readonly looksBack: boolean;
}

export interface EvidenceOptions {
  /** Nothing is asked of the time before the position, nor of keys that only others follow. */
  readonly presentOnly?: boolean;
}

/** Watching again what was watched costs the server more than looking at all keys, beyond this many revisions. */
const repeatableRevisions = 5000;

/** What is to be asked before `position` counts as one in the store that answers. */
export function evidenceFor(
  position: Position,
  prefix: Uint8Array,
  { presentOnly = false }: EvidenceOptions = {},
): Evidence {
  const { revision, recent } = position;
  const recents = recent.all;
  const checks = recents.map((proof) => exactly(proof, revision));
  const count: Check = {
    question: { ...rangeOf(prefix), countOnly: true, revision },
    holds: (answer) => answer.count === position.keys,
  };
  const present = { upTo: revision, looksBack: false };
  if (!position.listed) return { checks: checks.length > 0 ? checks : [count], ...present };
  // Nothing exists under the prefix: if that is true of this store at that revision too, it is as good as the old one.
  if (position.keys === 0) return { checks: [...checks, count], ...present };
  const newest = recents.reduce((most, { modRevision }) => Math.max(most, modRevision), 0);
  const past = pastOf(position, newest);
  const looksBack = !presentOnly && past.checks.length > 0;
  if (!presentOnly) {
    checks.push(...past.checks);
    if (past.upTo === revision) return { checks, upTo: revision, looksBack };
    // Before the listing things came and went that we have not seen, and would see now.
    const isRepeatable = past.upTo >= position.listRevision && revision - past.upTo <= repeatableRevisions;
    if (isRepeatable && !position.forgotten) return { checks, upTo: past.upTo, looksBack };
  }
  const newer = { ...rangeOf(prefix), keysOnly: true, limit: 1, minModRevision: past.upTo + 1, revision };
  checks.push(count, { question: newer, holds: ({ kvs }) => kvs.length === 0 });
  return { checks, upTo: revision, looksBack };
}

/** What the store was like at some time behind `newest`, and how far that proves it. */
function pastOf({ lastDelete, landmark }: Position, newest: number): Pick<Evidence, 'checks' | 'upTo'> {
  const checks: Check[] = [];
  let upTo = newest;
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
  return { checks, upTo };
}

function exactly(proof: Fingerprint, revision: number): Check {
  return { question: { key: proof.key, revision }, holds: ({ kvs }) => matches(proof, kvs[0]) };
}

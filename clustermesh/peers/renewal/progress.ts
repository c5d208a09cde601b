import type { PeerFolder } from '../folder/index.ts';
import { renewalFacts } from './facts.ts';
import { lackingOf, signsFromMs } from './steps.ts';

/** How far a renewal of the authority is, while one is under way. */
export type AuthorityProgress =
  | {
      /** The new one is trusted, and signs nothing yet. */
      readonly phase: 'announced';
      readonly sinceMs: number;
      /** Not before that, and not before everybody of `lacking` knows it. */
      readonly signsFromMs: number;
      /** Peers that have not said that they trust it. */
      readonly lacking: readonly string[];
    }
  | {
      /** The new one signs; certificates of those before it are still in use. */
      readonly phase: 'signing';
      readonly sinceMs: number;
      /** Authorities that are trusted besides. */
      readonly before: number;
      readonly lacking: readonly string[];
    };

/** Undefined while there is one authority only. */
export async function authorityProgress(folder: PeerFolder, nowMs: number): Promise<AuthorityProgress | undefined> {
  const { authority, peers } = await renewalFacts(folder);
  if (!authority) return undefined;
  const { next, previous, fingerprint, switchedAtMs = authority.notBeforeMs } = authority;
  if (next)
    return {
      phase: 'announced',
      sinceMs: next.sinceMs,
      signsFromMs: signsFromMs(authority, next),
      lacking: lackingOf(peers, next.fingerprint, nowMs),
    };
  if (previous.length === 0) return undefined;
  const lacking = lackingOf(peers, fingerprint, nowMs);
  return { phase: 'signing', sinceMs: switchedAtMs, before: previous.length, lacking };
}

import type { CertificateName } from '../certificates/index.ts';

/** From when to when something is valid. */
export interface Dated {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** What is known when it is decided what to renew. */
export interface RenewalFacts {
  readonly certificateLifetimeMs: number;
  readonly authorityLifetimeMs: number;
  /** Undefined before there is one. */
  readonly authority: AuthorityFacts | undefined;
  /** Those that should be there; undefined where one is not. */
  readonly certificates: ReadonlyMap<CertificateName, OwnCertificateFacts | undefined>;
  readonly peers: readonly PeerFacts[];
}

export interface AuthorityFacts extends Dated {
  readonly fingerprint: string;
  /** Somebody else looks after it, and we only follow. */
  readonly isExternal: boolean;
  /** An external one that was replaced since we last looked. */
  readonly isReplaced: boolean;
  readonly rotationWanted: boolean;
  readonly next: { readonly fingerprint: string; readonly sinceMs: number } | undefined;
  readonly switchedAtMs: number | undefined;
  readonly previous: readonly (Dated & { readonly fingerprint: string })[];
}

export interface OwnCertificateFacts extends Dated {
  /** Signed by the authority that signs now. */
  readonly isCurrent: boolean;
  /** It has all the names that it should have. */
  readonly namesMatch: boolean;
}

export interface PeerFacts {
  readonly name: string;
  /** There is an address where it can be asked, and something to show there. */
  readonly canAsk: boolean;
  /** Authorities of ours that it has said to trust; undefined of one that will never say. */
  readonly trusts: readonly string[] | undefined;
  /** What we come with. */
  readonly ours: Dated | undefined;
  readonly admitted: readonly { readonly fingerprint: string; readonly notAfterMs: number; readonly issuer: string }[];
  readonly seenMs: number | undefined;
}

export type RenewalStep =
  | { readonly kind: 'create-authority' }
  /** A new one is trusted from now on and signs nothing yet. */
  | { readonly kind: 'prepare-authority' }
  /** The new one signs from now on. @see lacking peers that have not said to trust it: the old one was about to expire */
  | { readonly kind: 'switch-authority'; readonly lacking: readonly string[] }
  | { readonly kind: 'note-replaced-authority' }
  | { readonly kind: 'retire-authority'; readonly fingerprint: string }
  | { readonly kind: 'issue'; readonly name: CertificateName; readonly why: IssueReason }
  | { readonly kind: 'forget-admitted'; readonly peer: string; readonly fingerprint: string }
  /** Ask the peer: for what we come with, and for its authorities, and tell it ours. */
  | { readonly kind: 'exchange'; readonly peer: string; readonly why: ExchangeReason };

export type IssueReason = 'missing' | 'names' | 'authority' | 'due';
export type ExchangeReason = 'due' | 'authorities' | 'silent';

/** The new authority is trusted this long, at least, before it signs: whoever holds files of ours has read them by then. */
export const overlapMs = 24 * 3_600_000;
/** Peers are asked this often, so that their new authorities are known in time. */
export const askEveryMs = 6 * 3_600_000;

/**
 * What is to be done now, in this order. Each step is done from what lies in the files, so that a process that is killed
 * between two of them goes on where it was. An old authority stays trusted for as long as a certificate of it is valid,
 * so that no connection ends because of a renewal.
 */
export function renewalSteps(facts: RenewalFacts, nowMs: number): readonly RenewalStep[] {
  const { authority, peers } = facts;
  if (!authority) return [{ kind: 'create-authority' }];
  const first = authorityStep(facts, authority, nowMs);
  // What is signed depends on it: decided anew once it is done.
  if (first) return [first];
  return [
    ...retired(facts, authority, nowMs),
    ...[...facts.certificates].flatMap(([name, one]) => {
      const why = issueReason(name, one, facts, nowMs);
      return why === undefined ? [] : [{ kind: 'issue' as const, name, why }];
    }),
    ...peers.flatMap(({ name, admitted }) =>
      admitted
        // The last one stays, so that it is seen that a peer has none that is valid.
        .filter(({ notAfterMs }) => notAfterMs < nowMs && admitted.some((other) => other.notAfterMs > notAfterMs))
        .map(({ fingerprint }) => ({ kind: 'forget-admitted' as const, peer: name, fingerprint })),
    ),
    ...peers.flatMap((peer) => {
      const why = exchangeReason(peer, authority, nowMs);
      return why === undefined ? [] : [{ kind: 'exchange' as const, peer: peer.name, why }];
    }),
  ];
}

/** When a certificate is renewed: after two thirds of its life. */
export function isDue({ notBeforeMs, notAfterMs }: Dated, nowMs: number): boolean {
  return nowMs >= notAfterMs - (notAfterMs - notBeforeMs) / 3;
}

function authorityStep(facts: RenewalFacts, authority: AuthorityFacts, nowMs: number): RenewalStep | undefined {
  const { next, notAfterMs, notBeforeMs } = authority;
  if (authority.isExternal) return authority.isReplaced ? { kind: 'note-replaced-authority' } : undefined;
  const lifetimeMs = notAfterMs - notBeforeMs;
  // Two lives of a certificate: one to become known in, one for the last certificate that the old one signs.
  const preparedMs = notAfterMs - Math.max(lifetimeMs / 4, Math.min(2 * facts.certificateLifetimeMs, lifetimeMs / 2));
  if (!next) return authority.rotationWanted || nowMs >= preparedMs ? { kind: 'prepare-authority' } : undefined;
  const lacking = lackingOf(facts.peers, next.fingerprint, nowMs);
  const isKnown = lacking.length === 0 && nowMs >= signsFromMs(authority, next);
  const lastMs = notAfterMs - lifetimeMs / 8;
  return isKnown || nowMs >= lastMs ? { kind: 'switch-authority', lacking } : undefined;
}

/** When a new authority may sign at the earliest. */
export function signsFromMs({ notBeforeMs, notAfterMs }: Dated, next: { readonly sinceMs: number }): number {
  return next.sinceMs + Math.min(overlapMs, (notAfterMs - notBeforeMs) / 20);
}

function retired(facts: RenewalFacts, authority: AuthorityFacts, nowMs: number): readonly RenewalStep[] {
  const { previous, switchedAtMs = Number.NEGATIVE_INFINITY } = authority;
  const inUse = new Set(
    facts.peers.flatMap(({ admitted }) =>
      admitted.filter(({ notAfterMs }) => notAfterMs >= nowMs).map(({ issuer }) => issuer),
    ),
  );
  // What it has signed for our own last began to be valid when the new one took over.
  const isOver = nowMs > switchedAtMs + facts.certificateLifetimeMs;
  return previous
    .filter(({ fingerprint, notAfterMs }) => nowMs > notAfterMs || (isOver && !inUse.has(fingerprint)))
    .map(({ fingerprint }) => ({ kind: 'retire-authority' as const, fingerprint }));
}

function issueReason(
  name: CertificateName,
  one: OwnCertificateFacts | undefined,
  facts: RenewalFacts,
  nowMs: number,
): IssueReason | undefined {
  if (!one) return 'missing';
  if (!one.namesMatch) return 'names';
  if (!one.isCurrent && !isHeldBack(name, facts, nowMs)) return 'authority';
  return isDue(one, nowMs) ? 'due' : undefined;
}

/** Certificates of ours that somebody checks who is told of a new authority later than we. */
const checkedByPeers: readonly CertificateName[] = ['server', 'remote'];

/**
 * Somebody else's authority is replaced without a word before: what peers check stays that of the old one, while that is
 * valid, until they have said that they trust the new one, and for a day.
 */
function isHeldBack(name: CertificateName, { authority, peers }: RenewalFacts, nowMs: number): boolean {
  if (!authority?.isExternal || authority.previous.length === 0 || !checkedByPeers.includes(name)) return false;
  const { switchedAtMs = Number.NEGATIVE_INFINITY, fingerprint } = authority;
  return nowMs < switchedAtMs + overlapMs || lackingOf(peers, fingerprint, nowMs).length > 0;
}

/** Peers that may come with something, do not know an authority, and will say so once they do. */
export function lackingOf(peers: readonly PeerFacts[], fingerprint: string, nowMs: number): readonly string[] {
  return peers
    .filter(({ trusts, admitted }) => {
      if (!admitted.some(({ notAfterMs }) => notAfterMs >= nowMs)) return false;
      return trusts !== undefined && !trusts.includes(fingerprint);
    })
    .map(({ name }) => name);
}

function exchangeReason(peer: PeerFacts, authority: AuthorityFacts, nowMs: number): ExchangeReason | undefined {
  const { canAsk, ours, trusts = [], seenMs = Number.NEGATIVE_INFINITY } = peer;
  if (!canAsk) return undefined;
  if (ours && isDue(ours, nowMs)) return 'due';
  const known = [authority.fingerprint, ...(authority.next ? [authority.next.fingerprint] : [])];
  if (known.some((fingerprint) => !trusts.includes(fingerprint))) return 'authorities';
  return nowMs >= seenMs + askEveryMs ? 'silent' : undefined;
}

import { DocumentReader } from './document.ts';

/** A certificate that was given to a peer: it may come with it, and with no other. */
export interface Admitted {
  /** SHA-256, upper case with colons. */
  readonly fingerprint: string;
  readonly notAfterMs: number;
  /** SHA-256 of the authority that has signed it. */
  readonly issuer: string;
}

/** How a peer came to be one: by our commands on both sides, as a Cilium cluster, or declared by its authority. */
export type PeerKind = 'isthmus' | 'cilium' | 'declared';

/** What is kept of a peer, without secrets. */
export interface PeerRecord {
  readonly name: string;
  /** Unknown (0) for a cluster of which nobody has told it: it stands in its store. */
  readonly id: number;
  readonly kind: PeerKind;
  readonly endpoints: readonly string[];
  /** The name of its servers where it is not the host that is dialled. */
  readonly serverName: string | undefined;
  /** Where it may be asked for a new certificate. */
  readonly enrolment: string | undefined;
  /** Blocks in which its addresses must lie; undefined: anywhere that is not ours. */
  readonly allowedCidrs: readonly string[] | undefined;
  readonly maxConnectedClusters: number | undefined;
  /** Whose certificates its servers have, PEM. */
  readonly authorities: string | undefined;
  /** Certificates of ours that it holds. Where it is declared, its own authority speaks for it instead. */
  readonly admitted: readonly Admitted[];
  /** SHA-256 of those of our authorities that it has said to trust. */
  readonly trusts: readonly string[];
  readonly sinceMs: number;
  /** When it was last in touch about certificates. */
  readonly seenMs: number | undefined;
  /** Which invitation it came by, so that an answer that was lost can be given again, to the same key. */
  readonly invitation: AcceptedInvitation | undefined;
}

export interface AcceptedInvitation {
  readonly id: string;
  readonly tokenHash: string;
  readonly keyHash: string;
  /** The certificate that was given, PEM. */
  readonly certificate: string;
}

export function formatPeer(peer: PeerRecord): string {
  const { admitted, sinceMs, seenMs, ...rest } = peer;
  const document = {
    version: 1,
    ...rest,
    admitted: admitted.map(({ fingerprint, notAfterMs, issuer }) => ({
      fingerprint,
      notAfter: timeText(notAfterMs),
      issuer,
    })),
    since: timeText(sinceMs),
    ...(seenMs === undefined ? {} : { seen: timeText(seenMs) }),
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

/** @throws {PeerDocumentError} */
export function parsePeer(text: string, document: string): PeerRecord {
  const reader = DocumentReader.ofJson(document, text);
  reader.whole('version', 1, 1);
  const invitation = reader.optionalObject('invitation');
  const peer: PeerRecord = {
    name: reader.clusterName('name'),
    id: reader.whole('id', 0, 511),
    kind: reader.exactly('kind', 'isthmus', 'cilium', 'declared'),
    endpoints: reader.endpoints('endpoints', { min: 0 }),
    serverName: reader.optionalText('serverName'),
    enrolment: reader.optionalEndpoint('enrolment'),
    allowedCidrs: reader.has('allowedCidrs') ? reader.blocks('allowedCidrs') : undefined,
    maxConnectedClusters: reader.has('maxConnectedClusters') ? reader.whole('maxConnectedClusters') : undefined,
    authorities: reader.optionalText('authorities'),
    admitted: reader.objects('admitted').map((one) => ({
      fingerprint: one.text('fingerprint'),
      notAfterMs: one.time('notAfter'),
      issuer: one.text('issuer'),
    })),
    trusts: reader.texts('trusts'),
    sinceMs: reader.time('since'),
    seenMs: reader.has('seen') ? reader.time('seen') : undefined,
    invitation: invitation && {
      id: invitation.text('id'),
      tokenHash: invitation.text('tokenHash'),
      keyHash: invitation.text('keyHash'),
      certificate: invitation.text('certificate'),
    },
  };
  reader.done();
  return peer;
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

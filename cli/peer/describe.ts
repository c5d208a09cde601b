import { type PeerFolder, type PeerRecord, factsOfCertificate } from '../../clustermesh/index.ts';

/** A peer as `isthmus peer list|show -o json` prints it. Nothing in it is secret. */
export interface PeerDescription {
  readonly name: string;
  readonly id: number;
  readonly kind: PeerRecord['kind'];
  readonly endpoints: readonly string[];
  /** By which name its servers are checked. */
  readonly serverName: string | undefined;
  readonly enrolment: string | undefined;
  readonly allowedCIDRs: readonly string[] | undefined;
  readonly since: string;
  readonly seen: string | undefined;
  /** By which its servers are known. */
  readonly authorities: readonly CertificateDescription[];
  /** What we show there. */
  readonly ours: CertificateDescription | undefined;
  /** What it may show here. */
  readonly admitted: readonly { readonly fingerprint: string; readonly notAfter: string }[];
  /** What needs somebody to look at. */
  readonly problems: readonly string[];
}

export interface CertificateDescription {
  readonly subject: string;
  readonly fingerprint: string;
  readonly notAfter: string;
}

/** Nobody renews what goes between a Cilium cluster and us: people are told so long before. */
const noticeMs = 30 * 24 * 3_600_000;

export async function describePeer(folder: PeerFolder, peer: PeerRecord, nowMs: number): Promise<PeerDescription> {
  const credentials = peer.kind === 'declared' ? undefined : await folder.credentialsFor(peer.name);
  const ours =
    factsOfCertificate(credentials?.certificate)[0] ??
    (peer.kind === 'declared' ? await folder.certificate('remote') : undefined);
  const authorities = factsOfCertificate(peer.authorities);
  const admitted = peer.admitted.toSorted((a, b) => a.notAfterMs - b.notAfterMs);
  const last = admitted.at(-1);
  const problems = [
    ...(peer.endpoints.length === 0 ? ['nobody has told where its store is: it reads ours, we do not read its'] : []),
    ...(ours && ours.notAfterMs <= nowMs ? ['what we show there has expired'] : []),
    ...(peer.kind === 'cilium' && ours && isSoon(ours.notAfterMs, nowMs)
      ? [
          `what we show there expires on ${time(ours.notAfterMs)}: isthmus peer add ${peer.name} --from-cilium brings another`,
        ]
      : []),
    ...(peer.kind === 'cilium' && last && isSoon(last.notAfterMs, nowMs)
      ? [
          `what it shows here expires on ${time(last.notAfterMs)}: isthmus peer invite ${peer.name} --for cilium makes another`,
        ]
      : []),
    ...(!ours && peer.endpoints.length > 0 ? ['there is no certificate to show there'] : []),
    ...(last && last.notAfterMs <= nowMs ? ['what it may show here has expired'] : []),
    ...(authorities.length > 0 && authorities.every(({ notAfterMs }) => notAfterMs <= nowMs)
      ? ['all its authorities have expired']
      : []),
  ];
  return {
    name: peer.name,
    id: peer.id,
    kind: peer.kind,
    endpoints: peer.endpoints,
    serverName: peer.serverName,
    enrolment: peer.enrolment,
    allowedCIDRs: peer.allowedCidrs,
    since: time(peer.sinceMs),
    seen: peer.seenMs === undefined ? undefined : time(peer.seenMs),
    authorities: authorities.map(described),
    ours: ours && described(ours),
    admitted: admitted.map(({ fingerprint, notAfterMs }) => ({ fingerprint, notAfter: time(notAfterMs) })),
    problems,
  };
}

function isSoon(notAfterMs: number, nowMs: number): boolean {
  return notAfterMs > nowMs && notAfterMs <= nowMs + noticeMs;
}

function described(facts: {
  readonly subject: string;
  readonly fingerprint: string;
  readonly notAfterMs: number;
}): CertificateDescription {
  return { subject: facts.subject, fingerprint: facts.fingerprint, notAfter: time(facts.notAfterMs) };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

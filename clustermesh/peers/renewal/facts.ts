import { X509Certificate } from 'node:crypto';
import { factsOf } from '../../../runtime/tls/index.ts';
import { type CertificateName, profileOf, standingCertificates } from '../certificates/index.ts';
import {
  type AuthorityState,
  type PeerFolder,
  type PeerRecord,
  fingerprintOf,
  serverNamesOf,
} from '../folder/index.ts';
import type { AuthorityFacts, Dated, OwnCertificateFacts, PeerFacts, RenewalFacts } from './steps.ts';

/** What the files say about everything that expires. */
export async function renewalFacts(folder: PeerFolder): Promise<RenewalFacts> {
  const { certificateLifetimeMs, authorityLifetimeMs } = folder.own;
  const state = await folder.authority.read();
  const names = new Set<CertificateName>([...standingCertificates, ...(await folder.certificateNames())]);
  const certificates = new Map<CertificateName, OwnCertificateFacts | undefined>();
  for (const name of names) certificates.set(name, state && (await ownCertificate(folder, name, state)));
  return {
    certificateLifetimeMs,
    authorityLifetimeMs,
    authority: state && authorityFacts(folder, state, await folder.authority.lastSeen()),
    certificates,
    peers: await Promise.all((await folder.peers()).map((peer) => peerFacts(folder, peer))),
  };
}

/** How a certificate of that name should look. */
export function wantedProfile({ own }: PeerFolder, name: CertificateName): ReturnType<typeof profileOf> {
  return profileOf(name, { cluster: own.name, namespace: own.namespace, extraNames: serverNamesOf(own) });
}

function authorityFacts(folder: PeerFolder, state: AuthorityState, lastSeen: string | undefined): AuthorityFacts {
  const { current, next, previous, notes } = state;
  const isExternal = folder.authority.external !== undefined;
  return {
    ...datesOf(current.certificate),
    fingerprint: fingerprintOf(current.certificate),
    isExternal,
    isReplaced: isExternal && lastSeen !== current.certificate,
    rotationWanted: notes.rotationWanted ?? false,
    next: next && { fingerprint: fingerprintOf(next.certificate), sinceMs: notes.nextSinceMs ?? 0 },
    switchedAtMs: notes.switchedAtMs,
    previous: previous.map((one) => ({ ...datesOf(one), fingerprint: fingerprintOf(one) })),
  };
}

async function ownCertificate(
  folder: PeerFolder,
  name: CertificateName,
  { current }: AuthorityState,
): Promise<OwnCertificateFacts | undefined> {
  const facts = await folder.certificate(name);
  if (!facts) return undefined;
  const has = new Set(facts.names.map(plainName));
  return {
    notBeforeMs: facts.notBeforeMs,
    notAfterMs: facts.notAfterMs,
    isCurrent: facts.issuer === factsOf(new X509Certificate(current.certificate)).subject,
    namesMatch: wantedProfile(folder, name).names.every((wanted) => has.has(plainName(wanted))),
  };
}

async function peerFacts(folder: PeerFolder, peer: PeerRecord): Promise<PeerFacts> {
  const ours = await folder.credentialsFor(peer.name);
  return {
    name: peer.name,
    canAsk: peer.kind === 'isthmus' && peer.enrolment !== undefined && ours !== undefined,
    // Who is declared never says, and who was given nothing of ours need not know our authority.
    trusts: peer.kind === 'declared' || peer.admitted.length === 0 ? undefined : peer.trusts,
    ours: ours && datesOf(ours.certificate),
    admitted: peer.admitted,
    seenMs: peer.seenMs,
  };
}

function datesOf(certificate: string): Dated {
  const { notBeforeMs, notAfterMs } = factsOf(new X509Certificate(certificate));
  return { notBeforeMs, notAfterMs };
}

/** `DNS:east.mesh`, `IP Address:0:0:0:0:0:0:0:1` as OpenSSL writes them, and plain ones, in one form. */
function plainName(name: string): string {
  const text = name.replace(/^(DNS|IP Address):/, '').toLowerCase();
  return URL.parse(`http://[${text}]`)?.hostname ?? text;
}

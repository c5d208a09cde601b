import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { Clock } from '../../../runtime/clock/index.ts';
import { fields, type Logger } from '../../../runtime/log/index.ts';
import { type Credentials, createKey, createRequest, remoteUserOf } from '../certificates/index.ts';
import { type PeerFolder, type PeerRecord, fingerprintsIn } from '../folder/index.ts';
import { isDue } from '../renewal/index.ts';
import { introduce } from './introduce.ts';
import { type ExchangeAnswer, type ExchangeRequest, type Introduction, readExchangeRequest } from './messages.ts';
import { EnrolmentRefusal } from './refusal.ts';
import { certificateFor, requestOf, signForPeer } from './signing.ts';

export interface ExchangeDependencies {
  readonly folder: PeerFolder;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Certificates of one peer that are admitted at a time: those before them have been replaced long ago. */
const maxAdmitted = 8;

/**
 * The peer that has shown this certificate: one of those that it was given. A cluster that runs Cilium comes to the store alone: how it
 * is followed is the operator's word, and its certificate, which lies in a Secret there, is no way to another one. @throws {EnrolmentRefusal}
 */
export async function peerOf(folder: PeerFolder, certificate: X509Certificate | undefined): Promise<PeerRecord> {
  const fingerprint = certificate?.fingerprint256;
  const found = (await folder.peers()).find(
    ({ kind, admitted }) => kind === 'isthmus' && admitted.some((one) => one.fingerprint === fingerprint),
  );
  if (found && fingerprint !== undefined) return found;
  throw new EnrolmentRefusal('NOT_A_PEER', 403, 'The certificate is none of those that a peer was given here');
}

/** Answers `POST /v1/exchange`: takes note of what a peer says, signs what it asks for, and asks for what we need. */
export async function answerExchange(
  { folder, clock, log }: ExchangeDependencies,
  certificate: X509Certificate | undefined,
  body: unknown,
): Promise<ExchangeAnswer> {
  const request = readExchangeRequest(body);
  return await folder.change(async () => {
    const nowMs = clock.now();
    const peer = await peerOf(folder, certificate);
    let record = noted(peer, request.cluster, request.trusts, nowMs);
    const credentials = await broughtFor(folder, record, request, nowMs);
    let signed: string | undefined;
    if (request.request !== undefined) {
      const { publicKey } = await requestOf(peer.name, request.request);
      const given = await signForPeer(folder, peer.name, publicKey, nowMs);
      signed = given.certificate;
      // What it has just shown stays good, however many answers with another one were lost.
      const shown = record.admitted.filter(({ fingerprint }) => fingerprint === certificate?.fingerprint256);
      const others = record.admitted.filter((one) => !shown.includes(one));
      record = { ...record, admitted: [...shown, ...[...others, given.admitted].slice(1 - maxAdmitted)] };
    }
    await folder.putPeer(record, credentials);
    if (credentials) await folder.removePendingKey(peer.name);
    if (credentials ?? signed) log.info('Certificates were renewed with a peer', { [fields.cluster]: peer.name });
    return {
      cluster: await introduce(folder),
      ...(signed === undefined ? {} : { certificate: signed }),
      ...(await wanted(folder, record, credentials !== undefined, nowMs)),
    };
  });
}

/** A record after a peer has introduced itself again. Name, id and size of the mesh stay what they were. @throws {EnrolmentRefusal} */
export function noted(peer: PeerRecord, said: Introduction, trusts: readonly string[], nowMs: number): PeerRecord {
  if (said.name !== peer.name || said.id !== peer.id)
    throw new EnrolmentRefusal(
      'NAME_DIFFERS',
      409,
      `This peer is ${peer.name} with id ${peer.id}, not ${said.name} with id ${said.id}; a cluster that is renamed leaves and joins again`,
    );
  const { maxConnectedClusters = said.maxConnectedClusters } = peer;
  if (said.maxConnectedClusters !== maxConnectedClusters)
    throw new EnrolmentRefusal(
      'MESH_SIZE_DIFFERS',
      409,
      `${peer.name} became a peer in a mesh of ${maxConnectedClusters} clusters, and calls itself one of ${said.maxConnectedClusters} now: identities would mean other clusters`,
    );
  return {
    ...peer,
    endpoints: said.endpoints,
    enrolment: said.enrolment,
    maxConnectedClusters,
    authorities: said.authorities,
    trusts,
    seenMs: nowMs,
  };
}

/** What the peer has signed of what we asked for before, with its key. */
async function broughtFor(
  folder: PeerFolder,
  { name, authorities = '' }: PeerRecord,
  { certificate }: ExchangeRequest,
  nowMs: number,
): ReturnType<PeerFolder['credentialsFor']> {
  if (certificate === undefined) return undefined;
  const privateKey = await folder.pendingKey(name);
  // Two that ask each other at the same moment bring what has come with the answer already.
  if (privateKey === undefined && (await isOfOurKey(folder, name, certificate))) return undefined;
  if (privateKey === undefined)
    throw new EnrolmentRefusal('CERTIFICATE_REFUSED', 409, 'certificate: nothing was asked for');
  return {
    privateKey,
    certificate: certificateFor(certificate, { own: folder.own.name, privateKey, authorities, nowMs }),
  };
}

/** Whether a certificate is for the key that we come to the peer with now. */
async function isOfOurKey(folder: PeerFolder, name: string, certificate: string): Promise<boolean> {
  const ours = await folder.credentialsFor(name);
  try {
    return ours !== undefined && belongTogether({ ...ours, certificate });
  } catch {
    return false;
  }
}

/** A request to the peer, when what we come with to it is due. The key waits until it brings the certificate. */
async function wanted(
  folder: PeerFolder,
  { name, authorities = '' }: PeerRecord,
  isFresh: boolean,
  nowMs: number,
): Promise<{ readonly request?: string }> {
  if (isFresh) return {};
  const ours = await folder.credentialsFor(name);
  if (ours && belongTogether(ours) && !needsRenewal(ours.certificate, authorities, nowMs)) return {};
  return { request: await pendingRequest(folder, name) };
}

/** False after a process was killed between writing the one and the other. */
function belongTogether({ certificate, privateKey }: Credentials): boolean {
  return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey));
}

/** A request for the key that waits for a certificate of that peer; the key is made where none waits. */
export async function pendingRequest(folder: PeerFolder, peer: string): Promise<string> {
  const waiting = await folder.pendingKey(peer);
  const privateKey = waiting ?? (await createKey());
  if (waiting === undefined) await folder.putPendingKey(peer, privateKey);
  return await createRequest(remoteUserOf(folder.own.name), privateKey);
}

/** Whether a certificate that a peer has signed is due, or of an authority that is not its first any more. */
export function needsRenewal(certificate: string, authorities: string, nowMs: number): boolean {
  const one = new X509Certificate(certificate);
  const dates = { notBeforeMs: Date.parse(one.validFrom), notAfterMs: Date.parse(one.validTo) };
  return isDue(dates, nowMs) || (authorities !== '' && !one.checkIssued(new X509Certificate(authorities)));
}

/** Fingerprints of the authorities by which we know that peer's servers. */
export function trustsOf({ authorities }: PeerRecord): readonly string[] {
  return authorities === undefined ? [] : fingerprintsIn(authorities);
}

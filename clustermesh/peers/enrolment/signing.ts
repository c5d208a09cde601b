import { X509Certificate } from 'node:crypto';
import { certificatesOf } from '../../../runtime/tls/index.ts';
import { type ReadRequest, keyHashOf, publicKeyOf, readRequest, remoteUserOf, signKey } from '../certificates/index.ts';
import { type Admitted, type PeerFolder, fingerprintOf } from '../folder/index.ts';
import { lifetimeUnder } from '../renewal/index.ts';
import { EnrolmentRefusal } from './refusal.ts';

/** How long a Cilium cluster's certificate is valid, which nobody renews by himself (clustermesh-behaviour §17). */
export const ciliumLifetimeMs = 1095 * 24 * 3_600_000;

/** Signs a key for a cluster that reads our store. */
export async function signForPeer(
  folder: PeerFolder,
  peer: string,
  publicKey: ReadRequest['publicKey'],
  nowMs: number,
  wantedMs = folder.own.certificateLifetimeMs,
): Promise<{ readonly certificate: string; readonly admitted: Admitted }> {
  const state = await folder.authority.read();
  if (!state) throw new Error(`${folder.paths.authorityFolder} holds no authority`);
  const lifetimeMs = lifetimeUnder(state.current.certificate, wantedMs, nowMs);
  const profile = { commonName: remoteUserOf(peer), names: [], use: 'client' as const };
  const certificate = await signKey(profile, publicKey, state.current, { nowMs, lifetimeMs });
  const { fingerprint256: fingerprint, validTo } = new X509Certificate(certificate);
  return {
    certificate,
    admitted: { fingerprint, notAfterMs: Date.parse(validTo), issuer: fingerprintOf(state.current.certificate) },
  };
}

/** Reads what a peer wants to have signed: a key of its own, under its name. @throws {EnrolmentRefusal} */
export async function requestOf(peer: string, text: string): Promise<ReadRequest> {
  const refuse = (why: string, options?: ErrorOptions): EnrolmentRefusal =>
    new EnrolmentRefusal('REQUEST_REFUSED', 400, `request: ${why}`, options);
  let request: ReadRequest;
  try {
    request = await readRequest(text);
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error), { cause: error });
  }
  if (request.commonName !== remoteUserOf(peer)) throw refuse(`expected the common name ${remoteUserOf(peer)}`);
  return request;
}

/**
 * Checks what a peer has signed for us: our key, our name, an authority of theirs, valid now.
 * @returns the certificate alone, PEM
 * @throws {EnrolmentRefusal}
 */
export function certificateFor(
  text: string,
  want: { readonly own: string; readonly privateKey: string; readonly authorities: string; readonly nowMs: number },
): string {
  const refuse = (why: string, options?: ErrorOptions): EnrolmentRefusal =>
    new EnrolmentRefusal('CERTIFICATE_REFUSED', 400, `certificate: expected ${why}`, options);
  let found: readonly X509Certificate[];
  let signers: readonly X509Certificate[];
  try {
    found = certificatesOf(Buffer.from(text));
    signers = certificatesOf(Buffer.from(want.authorities));
  } catch (error) {
    throw refuse('one that can be read (PEM)', { cause: error });
  }
  const [certificate] = found;
  if (!certificate || found.length > 1) throw refuse('exactly one (PEM)');
  if (keyHashOf(certificate.publicKey) !== keyHashOf(publicKeyOf(want.privateKey)))
    throw refuse('one for the key that was asked for');
  if (certificate.subject !== `CN=${remoteUserOf(want.own)}`) throw refuse(`one that names ${remoteUserOf(want.own)}`);
  if (certificate.ca) throw refuse('one that is no authority');
  if (!signers.some((signer) => signer.ca && certificate.checkIssued(signer) && certificate.verify(signer.publicKey)))
    throw refuse('one signed by an authority that was presented with it');
  if (Date.parse(certificate.validTo) <= want.nowMs || Date.parse(certificate.validFrom) > want.nowMs)
    throw refuse('one that is valid now (are both clocks right?)');
  return certificate.toString();
}

import { type CertificateName, standingCertificates } from '../certificates/index.ts';
import type { PeerFolder } from '../folder/index.ts';
import { issueOwn } from './take-step.ts';

/**
 * Takes a certificate of ours back: whoever shows it is nobody from now on, and what it has open ends. One of those that
 * every cluster has is made anew. @returns its fingerprint; undefined where there is no such certificate
 */
export async function revokeOwn(folder: PeerFolder, name: CertificateName, nowMs: number): Promise<string | undefined> {
  return await folder.change(async () => {
    const facts = await folder.certificate(name);
    if (!facts) return undefined;
    const { fingerprint, notAfterMs } = facts;
    // What takes its place first: our own processes look for it.
    if (standingCertificates.includes(name)) await issueOwn(folder, name, nowMs);
    else await folder.removeCertificate(name);
    await folder.putRevoked([...(await folder.revoked()), { fingerprint, notAfterMs }]);
    return fingerprint;
  });
}

/** The same for one of which only the fingerprint is known; it is kept in mind for as long as ours are valid. */
export async function revokeFingerprint(folder: PeerFolder, fingerprint: string, nowMs: number): Promise<void> {
  await folder.change(async () => {
    const others = (await folder.revoked()).filter((one) => one.fingerprint !== fingerprint);
    await folder.putRevoked([...others, { fingerprint, notAfterMs: nowMs + folder.own.certificateLifetimeMs }]);
  });
}

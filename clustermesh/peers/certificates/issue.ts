import type { KeyObject } from 'node:crypto';
import { createKey, publicKeyOf } from './keys.ts';
import type { CertificateProfile } from './profiles.ts';
import type { Credentials, ReadRequest } from './x509.ts';

export type { Credentials, ReadRequest } from './x509.ts';

/** Clocks of two clusters are never quite equal: what is made now is valid since this long. */
const skewMs = 5 * 60_000;

// What writes X.509 is loaded when something is written: agents, which only read, never need it.
const writer = (): Promise<typeof import('./x509.ts')> => import('./x509.ts');

/** Makes an authority that signs itself. Its name is its own, so that an old and a new one are never taken for each other. */
export async function createAuthority(cluster: string, nowMs: number, lifetimeMs: number): Promise<Credentials> {
  const privateKey = await createKey();
  const { createCertificate, authorityTag } = await writer();
  const certificate = await createCertificate(
    {
      commonName: `Authority of ${cluster} ${authorityTag()}`,
      use: 'authority',
      notBeforeMs: nowMs - skewMs,
      notAfterMs: nowMs + lifetimeMs,
    },
    publicKeyOf(privateKey),
    { self: privateKey },
  );
  return { certificate, privateKey };
}

/** Signs somebody's key. */
export async function signKey(
  { commonName, names, use }: CertificateProfile,
  publicKey: KeyObject,
  authority: Credentials,
  validity: { readonly nowMs: number; readonly lifetimeMs: number },
): Promise<string> {
  const { createCertificate } = await writer();
  const { nowMs, lifetimeMs } = validity;
  const wish = { commonName, names, use, notBeforeMs: nowMs - skewMs, notAfterMs: nowMs + lifetimeMs };
  return await createCertificate(wish, publicKey, authority);
}

/** A fresh key and a certificate for it. */
export async function issue(
  profile: CertificateProfile,
  authority: Credentials,
  validity: { readonly nowMs: number; readonly lifetimeMs: number },
): Promise<Credentials> {
  const privateKey = await createKey();
  return { privateKey, certificate: await signKey(profile, publicKeyOf(privateKey), authority, validity) };
}

/** A request (PEM) for a certificate of that common name. */
export async function createRequest(commonName: string, privateKey: string): Promise<string> {
  return await (await writer()).createRequest(commonName, privateKey);
}

/** Reads a request and checks that its sender holds the key. @throws {RequestError} */
export async function readRequest(text: string): Promise<ReadRequest> {
  return await (await writer()).readRequest(text);
}

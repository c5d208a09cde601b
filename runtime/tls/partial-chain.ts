import type { X509Certificate } from 'node:crypto';
import { certificatesOf } from './certificate.ts';

/** Codes by which OpenSSL says that a chain goes on above the last authority that it knows. */
const goesOn: ReadonlySet<string> = new Set(['UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY']);
const clientAuth = '1.3.6.1.5.5.7.3.2';

/**
 * Whether a client's certificate is good although its chain does not end: an intermediate authority has signed it that is
 * trusted itself. OpenSSL does as much with `allowPartialTrustChain`, which Node (24) passes on for clients only.
 * @param code of the failed verification
 * @param trusted PEM
 */
export function standsInPart(
  certificate: X509Certificate,
  code: string,
  trusted: Uint8Array | undefined,
  nowMs: number,
): boolean {
  if (!goesOn.has(code) || !trusted) return false;
  const { keyUsage } = certificate as { readonly keyUsage: readonly string[] | undefined };
  if (!isValid(certificate, nowMs) || keyUsage?.includes(clientAuth) === false) return false;
  return certificatesOf(trusted).some(
    (one) => one.ca && isValid(one, nowMs) && certificate.checkIssued(one) && certificate.verify(one.publicKey),
  );
}

function isValid({ validFrom, validTo }: X509Certificate, nowMs: number): boolean {
  return nowMs >= Date.parse(validFrom) && nowMs <= Date.parse(validTo);
}

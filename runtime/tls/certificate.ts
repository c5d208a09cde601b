import { X509Certificate } from 'node:crypto';

/** What a certificate says, in a form that may be shown: nothing in it is secret. */
export interface CertificateFacts {
  /** As `CN=etcd, O=mesh`. */
  readonly subject: string;
  readonly issuer: string;
  readonly commonName: string | undefined;
  /** SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` prints it. */
  readonly fingerprint: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** As `DNS:etcd.example`, `IP Address:10.0.0.1`. */
  readonly names: readonly string[];
}

const pemBlock = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** All certificates of a PEM text, in their order. @throws what OpenSSL says of one that is none. */
export function certificatesOf(pem: Uint8Array): X509Certificate[] {
  const text = Buffer.from(pem.buffer, pem.byteOffset, pem.length).toString('latin1');
  return (text.match(pemBlock) ?? []).map((block) => new X509Certificate(block));
}

export function factsOf(certificate: X509Certificate): CertificateFacts {
  return {
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    commonName: /^CN=(.*)$/m.exec(certificate.subject)?.[1],
    fingerprint: certificate.fingerprint256,
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
    names: certificate.subjectAltName?.split(', ') ?? [],
  };
}

/** `CN=etcd (SHA-256 AB:CD:…)`. */
export function inWords({ subject, fingerprint }: CertificateFacts): string {
  return `${subject === '' ? 'a certificate without subject' : subject} (SHA-256 ${fingerprint})`;
}

/** Why a certificate is not valid at this time, in words; undefined when it is. */
export function validityProblem(
  { notBeforeMs, notAfterMs }: CertificateFacts,
  nowMs: number,
): { readonly problem: 'expired' | 'not-yet-valid'; readonly words: string } | undefined {
  if (nowMs > notAfterMs) return { problem: 'expired', words: `has expired on ${dateOf(notAfterMs)}` };
  if (nowMs < notBeforeMs)
    return { problem: 'not-yet-valid', words: `is not valid before ${dateOf(notBeforeMs)} (is the clock right?)` };
  return undefined;
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

/** OpenSSL gives a distinguished name as lines, the most general part first. */
function oneLine(name: string | undefined): string {
  return (name ?? '').split('\n').toReversed().join(', ');
}

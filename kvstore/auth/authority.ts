import type { X509Certificate } from 'node:crypto';

/** Which users an authority's certificates may be. */
export type Naming =
  /** Our own authority: the common name is the user, whoever that is. */
  | { readonly kind: 'any' }
  /** The common name is the user, if it is one of these. */
  | { readonly kind: 'listed'; readonly users: ReadonlySet<string> }
  /** Each of its certificates is this user, whatever it says: the authority of somebody else. */
  | { readonly kind: 'fixed'; readonly user: string };

/** An authority that clients' certificates may come from, and whom they may be then. */
export interface Authority {
  /** For people: the file that it stands in. */
  readonly name: string;
  /** The authority's own, and intermediate ones under it whose certificates count as its own. */
  readonly certificates: readonly X509Certificate[];
  readonly naming: Naming;
  /** Serial numbers that were taken back. */
  readonly revoked: ReadonlySet<string>;
}

/** Whom a certificate makes of a client, or why nobody. */
export type Identified = { readonly user: string; readonly authority: string } | { readonly refused: string };

/**
 * Finds out who presents `certificate`, whose validity the TLS handshake has checked. Which authority stands behind it
 * is settled here anew, by signature: the one that signed it must be listed itself, and no certificate that the client
 * sent along is believed. An authority that somebody else trusts for less can so never speak for ours.
 */
export function identify(certificate: X509Certificate, authorities: readonly Authority[], nowMs: number): Identified {
  if (nowMs > Date.parse(certificate.validTo)) return { refused: 'the certificate has expired' };
  const signed = authorities.filter((authority) => hasSigned(authority, certificate, nowMs));
  const [authority] = signed;
  if (!authority)
    return { refused: 'the authority that signed the certificate is not listed (an intermediate one has to be)' };
  if (signed.length > 1)
    return { refused: `several authorities have signed it: ${signed.map(({ name }) => name).join(', ')}` };
  if (authority.revoked.has(certificate.serialNumber)) return { refused: 'the certificate is revoked' };
  const { naming } = authority;
  if (naming.kind === 'fixed') return { user: naming.user, authority: authority.name };
  const names = [...certificate.subject.matchAll(/^CN=(.*)$/gm)].map(([, name = '']) => name);
  const [user = ''] = names;
  if (user === '' || names.length > 1) return { refused: 'the certificate has no common name, or several' };
  if (naming.kind === 'listed' && !naming.users.has(user))
    return { refused: `${authority.name} may not name the user ${JSON.stringify(user)}` };
  return { user, authority: authority.name };
}

function hasSigned({ certificates }: Authority, certificate: X509Certificate, nowMs: number): boolean {
  return certificates.some(
    (one) =>
      nowMs <= Date.parse(one.validTo) &&
      nowMs >= Date.parse(one.validFrom) &&
      (one.ca || one.fingerprint256 === certificate.fingerprint256) &&
      certificate.checkIssued(one) &&
      certificate.verify(one.publicKey),
  );
}

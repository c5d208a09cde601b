import { type X509Certificate, verify } from 'node:crypto';
import { type DerElement, derElements, derOid, derTag } from './der.ts';

/** A list of certificates that their authority has taken back (RFC 5280 §5). */
export interface RevocationList {
  /** Serial numbers as `X509Certificate.serialNumber` writes them. */
  readonly serials: ReadonlySet<string>;
  /** Until when the authority promised to have a newer one; absent when it does not say. */
  readonly nextUpdateMs: number | undefined;
}

/** Digests by signature algorithm. Those without one bring their own. */
const digests: Readonly<Record<string, string | null>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': null,
};

const pemBlock = /-----BEGIN X509 CRL-----([^-]*)-----END X509 CRL-----/g;

/**
 * Reads the lists of a file, PEM or DER, and believes only those that one of `issuers` has signed.
 * @throws {RangeError} saying what is wrong with it
 */
export function readRevocationLists(file: Buffer, issuers: readonly X509Certificate[]): RevocationList[] {
  const blocks = [...file.toString('latin1').matchAll(pemBlock)].map(([, body = '']) => Buffer.from(body, 'base64'));
  const lists = blocks.length > 0 ? blocks : [file];
  return lists.map((der) => readList(der, issuers));
}

function readList(der: Buffer, issuers: readonly X509Certificate[]): RevocationList {
  const [outer] = derElements(der);
  const [body, algorithm, signature] = outer?.tag === derTag.sequence ? derElements(outer.content) : [];
  if (!body || !algorithm || signature?.tag !== derTag.bitString) throw new RangeError('not a revocation list');
  const id = derOid(derElements(algorithm.content)[0]?.content ?? Buffer.alloc(0));
  const digest = digests[id];
  if (digest === undefined) throw new RangeError(`signed by an algorithm that is not supported: ${id}`);
  const signed = signature.content.subarray(1);
  if (!issuers.some((issuer) => verify(digest, body.whole, issuer.publicKey, signed)))
    throw new RangeError('not signed by the authority that it stands beside');
  return contentsOf(derElements(body.content));
}

function contentsOf(fields: DerElement[]): RevocationList {
  // version (optional), algorithm, issuer, this update, next update (optional), entries (optional), extensions.
  const rest = fields.slice(fields[0]?.tag === derTag.integer ? 4 : 3);
  const next = rest[0] && isTime(rest[0]) ? rest.shift() : undefined;
  const entries = rest[0]?.tag === derTag.sequence ? derElements(rest[0].content) : [];
  const serials = entries.map(({ content }) => {
    const [serial] = derElements(content);
    if (serial?.tag !== derTag.integer) throw new RangeError('not a revocation list: an entry without a serial number');
    return serialText(serial.content);
  });
  return { serials: new Set(serials), nextUpdateMs: next && timeOf(next) };
}

/** Upper-case hex of whole bytes without leading zeros, as OpenSSL prints a serial number. */
function serialText(integer: Buffer): string {
  const hex = integer
    .toString('hex')
    .toUpperCase()
    .replace(/^(00)+(?=..)/, '');
  return hex === '' ? '00' : hex;
}

function isTime({ tag }: DerElement): boolean {
  return tag === derTag.utcTime || tag === derTag.time;
}

function timeOf({ tag, content }: DerElement): number {
  const digits = content.toString('latin1');
  const year = tag === derTag.utcTime ? (Number(digits.slice(0, 2)) < 50 ? '20' : '19') : '';
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
    .exec(year + digits)
    ?.slice(1)
    .map(Number);
  if (!parts) throw new RangeError('not a revocation list: a time that cannot be read');
  const [y = 0, month = 1, day, hour, minute, second] = parts;
  return Date.UTC(y, month - 1, day, hour, minute, second);
}

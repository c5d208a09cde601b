import {
  KeyObject,
  X509Certificate,
  createHash,
  createPrivateKey,
  createPublicKey,
  randomBytes,
  webcrypto,
} from 'node:crypto';
import { isIP } from 'node:net';
import { BitString, Integer, OctetString, Utf8String } from 'asn1js';
import {
  AttributeTypeAndValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  CertificationRequest,
  ExtKeyUsage,
  Extension,
  GeneralName,
  GeneralNames,
  PublicKeyInfo,
  RelativeDistinguishedNames,
  Time,
  TimeType,
  id_AuthorityKeyIdentifier,
  id_BasicConstraints,
  id_ExtKeyUsage,
  id_KeyUsage,
  id_SubjectAltName,
  id_SubjectKeyIdentifier,
} from 'pkijs';
import { ipToBytes } from '../../../values/ip/index.ts';
import { isStrongKey, keyHashOf } from './keys.ts';

// The one file that writes X.509 (RFC 5280) and PKCS #10 (RFC 2986); reading certificates is `node:crypto`'s business.

const commonNameOid = '2.5.4.3';
const extendedUsages = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;
/** Bits of KeyUsage (RFC 5280 §4.2.1.3), first byte. */
const keyUsages = { digitalSignature: 0x80, keyEncipherment: 0x20, certificateSign: 0x04, crlSign: 0x02 } as const;

/** What a certificate is to say. */
export interface CertificateWish {
  readonly commonName: string;
  /** DNS names and addresses. */
  readonly names?: readonly string[];
  /** An authority, or what the certificate is shown as. */
  readonly use: 'authority' | 'server' | 'client' | 'server-and-client';
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A certificate and the private key of it, as PEM. */
export interface Credentials {
  readonly certificate: string;
  readonly privateKey: string;
}

/** A request that its sender has signed with the key it asks a certificate for. */
export interface ReadRequest {
  readonly commonName: string;
  readonly publicKey: KeyObject;
  /** SHA-256 of the public key, hexadecimal. */
  readonly keyHash: string;
}

/** Text that is no certificate request, or one that nobody should sign. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly code = 'CERTIFICATE_REQUEST';
}

/** Eight random hexadecimal digits. */
export function authorityTag(): string {
  return randomBytes(4).toString('hex');
}

/** A certificate for a key of ours, or of somebody else. @param signer it signs itself where nobody else does */
export async function createCertificate(
  wish: CertificateWish,
  publicKey: KeyObject,
  signer: Credentials | { readonly self: string },
): Promise<string> {
  const subject = nameOf(wish.commonName);
  const parent = 'self' in signer ? undefined : Certificate.fromBER(derOf(signer.certificate));
  const signingKey = createPrivateKey('self' in signer ? signer.self : signer.privateKey);
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const certificate = new Certificate({
    version: 2,
    serialNumber: new Integer({ valueHex: bufferOf(serialNumber()) }),
    issuer: parent?.subject ?? subject,
    subject,
    notBefore: time(wish.notBeforeMs),
    notAfter: time(wish.notAfterMs),
    subjectPublicKeyInfo: PublicKeyInfo.fromBER(spki),
    extensions: extensionsOf(wish, keyIdOf(spki), (parent && keyIdIn(parent)) ?? keyIdOf(spkiOf(signingKey))),
  });
  await certificate.sign(await cryptoKeyOf(signingKey), 'SHA-256');
  return pem('CERTIFICATE', Buffer.from(certificate.toSchema(true).toBER()));
}

/** A request (PEM) for a certificate of that common name. */
export async function createRequest(commonName: string, privateKey: string): Promise<string> {
  const key = createPrivateKey(privateKey);
  const request = new CertificationRequest({
    version: 0,
    subject: nameOf(commonName),
    subjectPublicKeyInfo: PublicKeyInfo.fromBER(spkiOf(key)),
    attributes: [],
  });
  await request.sign(await cryptoKeyOf(key), 'SHA-256');
  return pem('CERTIFICATE REQUEST', Buffer.from(request.toSchema(true).toBER()));
}

/** Reads a request and checks that its sender holds the key. What else it asks for is nobody's business. @throws {RequestError} */
export async function readRequest(text: string): Promise<ReadRequest> {
  const block = /-----BEGIN CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE REQUEST-----/.exec(text);
  if (!block) throw new RequestError('expected a certificate request (PEM)');
  let request: CertificationRequest;
  let publicKey: KeyObject;
  try {
    request = CertificationRequest.fromBER(Buffer.from(block[1] ?? '', 'base64'));
    const spki = Buffer.from(request.subjectPublicKeyInfo.toSchema().toBER());
    publicKey = createPublicKey({ key: spki, type: 'spki', format: 'der' });
  } catch (error) {
    throw new RequestError('not a certificate request that can be read', { cause: error });
  }
  if (!isStrongKey(publicKey))
    throw new RequestError('expected a key of P-256, P-384, P-521 or RSA of 2048 bits or more');
  const signed = await request.verify().catch(() => false);
  if (!signed) throw new RequestError('the request is not signed with the key that it holds');
  const names = request.subject.typesAndValues.filter(({ type }) => type === commonNameOid);
  const value: unknown = names[0]?.value?.valueBlock?.value;
  if (names.length !== 1 || typeof value !== 'string' || value === '')
    throw new RequestError('expected one common name');
  return { commonName: value, publicKey, keyHash: keyHashOf(publicKey) };
}

function extensionsOf({ use, names = [] }: CertificateWish, subjectId: Buffer, signerId: Buffer): Extension[] {
  const isAuthority = use === 'authority';
  const usage = isAuthority
    ? keyUsages.certificateSign | keyUsages.crlSign
    : keyUsages.digitalSignature | keyUsages.keyEncipherment;
  const shownAs = [
    ...(use === 'client' ? [] : [extendedUsages.server]),
    ...(use === 'server' ? [] : [extendedUsages.client]),
  ];
  const unused = usage & 0x02 ? 1 : 5;
  const usageBits = new BitString({ valueHex: bufferOf(Buffer.from([usage])), unusedBits: unused });
  const keyId = new OctetString({ valueHex: bufferOf(subjectId) });
  const authorityId = new AuthorityKeyIdentifier({
    keyIdentifier: new OctetString({ valueHex: bufferOf(signerId) }),
  });
  return [
    extension(id_BasicConstraints, true, new BasicConstraints({ cA: isAuthority }).toSchema().toBER()),
    extension(id_KeyUsage, true, usageBits.toBER()),
    ...(isAuthority
      ? []
      : [extension(id_ExtKeyUsage, false, new ExtKeyUsage({ keyPurposes: shownAs }).toSchema().toBER())]),
    extension(id_SubjectKeyIdentifier, false, keyId.toBER()),
    extension(id_AuthorityKeyIdentifier, false, authorityId.toSchema().toBER()),
    ...(names.length === 0
      ? []
      : [extension(id_SubjectAltName, false, new GeneralNames({ names: names.map(generalName) }).toSchema().toBER())]),
  ];
}

function extension(extnID: string, critical: boolean, extnValue: ArrayBuffer): Extension {
  return new Extension({ extnID, critical, extnValue });
}

function generalName(name: string): GeneralName {
  return isIP(name) === 0
    ? new GeneralName({ type: 2, value: name })
    : new GeneralName({ type: 7, value: new OctetString({ valueHex: bufferOf(Buffer.from(ipToBytes(name))) }) });
}

function nameOf(commonName: string): RelativeDistinguishedNames {
  return new RelativeDistinguishedNames({
    typesAndValues: [new AttributeTypeAndValue({ type: commonNameOid, value: new Utf8String({ value: commonName }) })],
  });
}

/** UTCTime until 2049, as RFC 5280 §4.1.2.5 wants it. Whole seconds. */
function time(ms: number): Time {
  const value = new Date(Math.floor(ms / 1000) * 1000);
  return new Time({ type: value.getUTCFullYear() < 2050 ? TimeType.UTCTime : TimeType.GeneralizedTime, value });
}

/** Positive, 127 random bits, never short. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

/** RFC 5280 §4.2.1.2, method 1. */
function keyIdOf(spki: Buffer): Buffer {
  const bits = PublicKeyInfo.fromBER(spki).subjectPublicKey.valueBlock.valueHexView;
  return createHash('sha1').update(bits).digest();
}

/** How an authority calls its own key: others may have chosen another method. */
function keyIdIn(certificate: Certificate): Buffer | undefined {
  const own = certificate.extensions?.find(({ extnID }) => extnID === id_SubjectKeyIdentifier);
  return own && Buffer.from(own.extnValue.valueBlock.valueHexView.subarray(2));
}

function spkiOf(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
}

async function cryptoKeyOf(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const { namedCurve } = key.asymmetricKeyDetails ?? {};
  const curve = namedCurve === 'secp384r1' ? 'P-384' : namedCurve === 'secp521r1' ? 'P-521' : 'P-256';
  const algorithm =
    key.asymmetricKeyType === 'rsa'
      ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
      : { name: 'ECDSA', namedCurve: curve };
  return await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}

function derOf(certificate: string): Buffer {
  return new X509Certificate(certificate).raw;
}

function bufferOf(bytes: Buffer): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

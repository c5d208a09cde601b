import {
  type KeyObject,
  X509Certificate,
  createHash,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
} from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { join } from 'node:path';

const day = 86_400_000;

export interface CertificateWish {
  /** The common name: who it is for etcd's authentication by certificate. */
  readonly commonName: string;
  /** DNS names and IPv4 addresses; `localhost` and 127.0.0.1 unless given. */
  readonly names?: readonly string[];
  /** From a day ago for ten days, unless given. */
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
}

/** A certificate and its private key, as PEM. */
export interface IssuedCertificate {
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority of a test, made in this process: no command is needed for it. */
export class TestAuthority {
  readonly cert: string;
  readonly key: string;
  readonly #name: string;
  readonly #privateKey: KeyObject;
  readonly #keyId: Buffer;

  /** @param parent who signs its certificate; it signs it itself unless given */
  constructor(
    name: string,
    validity: Pick<CertificateWish, 'notBeforeMs' | 'notAfterMs'> & { readonly parent?: TestAuthority } = {},
  ) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#name = name;
    this.#privateKey = privateKey;
    this.#keyId = keyIdOf(publicKey);
    this.key = pemOfKey(privateKey);
    this.cert = (validity.parent ?? this).#sign(
      { commonName: name, names: [], ...validity },
      publicKey,
      authorityExtensions(),
    );
  }

  /** A certificate for a server or a client. */
  issue(wish: CertificateWish): IssuedCertificate {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const names = wish.names ?? ['localhost', '127.0.0.1'];
    const cert = this.#sign(wish, publicKey, [
      extension('2.5.29.15', true, tlv(0x03, Buffer.from([7, 0x80]))),
      // serverAuth and clientAuth.
      extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'))),
      ...(names.length === 0 ? [] : [extension('2.5.29.17', false, sequence(...names.map(generalName)))]),
    ]);
    return { cert, key: pemOfKey(privateKey) };
  }

  /** Another certificate of that authority's key and name, signed by this one: both are known to everybody. */
  certify(other: TestAuthority): string {
    return this.#sign({ commonName: other.#name }, createPublicKey(other.#privateKey), authorityExtensions());
  }

  /** A list (PEM) of certificates that are taken back. */
  revocationList(revoked: readonly string[], nextUpdateMs = Date.now() + day): string {
    const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
    const entries = revoked.map((cert) => {
      const serial = Buffer.from(new X509Certificate(cert).serialNumber, 'hex');
      return sequence(tlv(0x02, serial), time(Date.now()));
    });
    const body = sequence(
      tlv(0x02, Buffer.from([1])),
      algorithm,
      nameOf(this.#name),
      time(Date.now()),
      time(nextUpdateMs),
      ...(entries.length === 0 ? [] : [sequence(...entries)]),
    );
    const signature = sign('sha256', body, this.#privateKey);
    return pem('X509 CRL', sequence(body, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), signature]))));
  }

  #sign(wish: CertificateWish, publicKey: KeyObject, extensions: readonly Buffer[]): string {
    const { notBeforeMs = Date.now() - day, notAfterMs = Date.now() + 9 * day } = wish;
    const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
    const keyIds = [
      extension('2.5.29.14', false, tlv(0x04, keyIdOf(publicKey))),
      extension('2.5.29.35', false, sequence(tlv(0x80, this.#keyId))),
    ];
    const body = sequence(
      tlv(0xa0, tlv(0x02, Buffer.from([2]))),
      tlv(0x02, Buffer.concat([Buffer.from([0x01]), randomBytes(15)])),
      algorithm,
      nameOf(this.#name),
      sequence(time(notBeforeMs), time(notAfterMs)),
      nameOf(wish.commonName),
      publicKey.export({ type: 'spki', format: 'der' }),
      tlv(0xa3, sequence(...extensions, ...keyIds)),
    );
    const signature = sign('sha256', body, this.#privateKey);
    const der = sequence(body, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), signature])));
    return pem('CERTIFICATE', der);
  }
}

/** Paths of a certificate and its key; the key is for its owner only. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Writes `NAME.crt` and `NAME.key` into a folder, which is made. */
export function writeCertificate(folder: string, name: string, { cert, key }: IssuedCertificate): CertificateFiles {
  mkdirSync(folder, { recursive: true });
  const files = { certFile: join(folder, `${name}.crt`), keyFile: join(folder, `${name}.key`) };
  writeFileSync(files.certFile, cert);
  writeFileSync(files.keyFile, key, { mode: 0o600 });
  return files;
}

/** SHA-256 of a PEM certificate, as `openssl x509 -fingerprint -sha256` prints it. */
export function fingerprintOf(cert: string): string {
  const der = Buffer.from(cert.replace(/-----[^-]*-----|\s/g, ''), 'base64');
  const hex = createHash('sha256').update(der).digest('hex').toUpperCase();
  return hex.match(/../g)?.join(':') ?? '';
}

function authorityExtensions(): readonly Buffer[] {
  return [
    extension('2.5.29.19', true, sequence(tlv(0x01, Buffer.from([0xff])))),
    // keyCertSign and cRLSign.
    extension('2.5.29.15', true, tlv(0x03, Buffer.from([1, 0x06]))),
  ];
}

function pemOfKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

function keyIdOf(publicKey: KeyObject): Buffer {
  return createHash('sha1')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest();
}

// DER, as far as a certificate needs it (ITU-T X.690).

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...bytes]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const digits = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return tlv(0x06, Buffer.from(bytes));
}

function nameOf(commonName: string): Buffer {
  return sequence(tlv(0x31, sequence(oid('2.5.4.3'), tlv(0x0c, Buffer.from(commonName)))));
}

function time(ms: number): Buffer {
  return tlv(0x18, Buffer.from(new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')));
}

function generalName(name: string): Buffer {
  return isIPv4(name) ? tlv(0x87, Buffer.from(name.split('.').map(Number))) : tlv(0x82, Buffer.from(name));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [tlv(0x01, Buffer.from([0xff]))] : []), tlv(0x04, value));
}

import { type KeyObject, type X509Certificate, createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { reasonOf } from '../files/index.ts';
import { type CertificateFacts, certificatesOf, factsOf } from './certificate.ts';

/** Files by which the two ends of a connection know each other: PEM, as etcd, Consul and Cilium name them. */
export interface TlsFiles {
  /** Whom we trust; the system's authorities unless given. */
  readonly trustedCaFile?: string;
  /** Who we are: the certificate, followed by intermediate ones if there are any. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Accepts any certificate of the other end. */
  readonly insecureSkipVerify?: boolean;
  /** The name that the other end's certificate must have, where it is not the host that is dialled. */
  readonly serverName?: string;
}

/** The contents of {@link TlsFiles}, read together and found to belong together. */
export interface TlsMaterial {
  readonly files: TlsFiles;
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  /** Whom we trust; empty when those are the system's authorities. */
  readonly authorities: readonly CertificateFacts[];
  /** Who we are. */
  readonly certificate: CertificateFacts | undefined;
}

/** A file that cannot serve as what it is named for. The message never repeats its content. */
export class TlsFileError extends Error {
  override readonly name = 'TlsFileError';
  readonly code = 'TLS_FILE';
  readonly file: string;

  constructor(file: string, problem: string, options?: ErrorOptions) {
    super(`${file} ${problem}`, options);
    this.file = file;
  }
}

/** A rotation may come between two reads; it cannot go on doing so. */
const attempts = 3;

/**
 * Reads the files together. A certificate and a key that do not belong together are read again at once, since they may
 * have been replaced between one read and the other.
 * @throws {TlsFileError}
 */
export async function readTlsFiles(files: TlsFiles): Promise<TlsMaterial> {
  for (let attempt = 1; ; attempt++) {
    const [ca, cert, key] = await Promise.all([
      contentsOf(files.trustedCaFile),
      contentsOf(files.certFile),
      contentsOf(files.keyFile),
    ]);
    try {
      return materialOf(files, ca, cert, key);
    } catch (error) {
      if (attempt >= attempts || !(error instanceof MismatchError)) throw error;
    }
  }
}

class MismatchError extends TlsFileError {}

async function contentsOf(file: string | undefined): Promise<Buffer | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file);
  } catch (error) {
    throw new TlsFileError(file, `cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}

function materialOf(
  files: TlsFiles,
  ca: Buffer | undefined,
  cert: Buffer | undefined,
  key: Buffer | undefined,
): TlsMaterial {
  const { trustedCaFile = '', certFile = '', keyFile = '' } = files;
  const authorities = ca ? certificatesIn(trustedCaFile, ca) : [];
  const own = cert ? certificatesIn(certFile, cert)[0] : undefined;
  if (own && key && !own.checkPrivateKey(privateKeyIn(keyFile, key)))
    throw new MismatchError(
      keyFile,
      `is not the private key of the certificate in ${certFile} (SHA-256 ${own.fingerprint256})`,
    );
  return {
    files,
    ca,
    cert,
    key,
    authorities: authorities.map(factsOf),
    certificate: own && factsOf(own),
  };
}

function certificatesIn(file: string, pem: Buffer): X509Certificate[] {
  let found: X509Certificate[] = [];
  try {
    found = certificatesOf(pem);
  } catch (error) {
    throw new TlsFileError(file, 'holds a certificate that cannot be read', { cause: error });
  }
  if (found.length === 0) throw new TlsFileError(file, 'holds no certificate: expected PEM');
  return found;
}

function privateKeyIn(file: string, pem: Buffer): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // OpenSSL's words name no content, but say nothing to people either; the cause is left out on purpose.
    const encrypted = pem.includes('ENCRYPTED');
    throw new TlsFileError(
      file,
      encrypted ? 'is encrypted: expected a plain key' : 'holds no private key: expected PEM',
    );
  }
}

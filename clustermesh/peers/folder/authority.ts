import { X509Certificate, createPrivateKey } from 'node:crypto';
import { join } from 'node:path';
import { type CertificateFacts, TlsFileError, certificatesOf, factsOf } from '../../../runtime/tls/index.ts';
import type { Credentials } from '../certificates/index.ts';
import { DocumentReader } from './document.ts';
import { makeFolder, putText, readText, remove } from './files.ts';
import { timeText } from './peer-record.ts';

/** The cluster's own authority, and what comes before and after it while it changes. */
export interface AuthorityState {
  /** Signs what is issued now. */
  readonly current: Credentials;
  /** Trusted already, signs nothing yet. */
  readonly next: Credentials | undefined;
  /** Signs nothing any more, and is trusted while certificates of it are used. PEM each. */
  readonly previous: readonly string[];
  readonly notes: AuthorityNotes;
}

export interface AuthorityNotes {
  /** Since when the next one is trusted. */
  readonly nextSinceMs?: number;
  /** When the current one began to sign. */
  readonly switchedAtMs?: number;
  /** Somebody wants a new one before the old one is due. */
  readonly rotationWanted?: boolean;
}

/** The files of the authority. Each change is one rename, so that a process that is killed leaves one state or the other. */
export class AuthorityFiles {
  readonly #folder: string;
  readonly #trustedFile: string;
  /** Somebody else's folder with `tls.crt` and `tls.key`. */
  readonly external: string | undefined;

  constructor(folder: string, trustedFile: string, external: string | undefined) {
    this.#folder = folder;
    this.#trustedFile = trustedFile;
    this.external = external;
  }

  /** Undefined before there is one. @throws {TlsFileError} {@link PeerDocumentError} */
  async read(): Promise<AuthorityState | undefined> {
    const current = await this.#current();
    if (!current) return undefined;
    const next = await this.#bundle('next.pem');
    const own = [current, ...(next ? [next] : [])].map(({ certificate }) => certificate);
    const previous = (await this.#certificates('previous.crt')).filter((one) => !own.includes(one));
    // Of a switch that was broken off only the first half has been done.
    const isSwitched = next?.certificate === current.certificate;
    return { current, next: isSwitched ? undefined : next, previous, notes: await this.#notes() };
  }

  async writeCurrent(credentials: Credentials): Promise<void> {
    await this.#put('active.pem', bundleOf(credentials));
  }

  async writeNext(credentials: Credentials, nowMs: number): Promise<void> {
    await this.#put('next.pem', bundleOf(credentials));
    await this.writeNotes({ nextSinceMs: nowMs });
  }

  /** The next one signs from now on, the current one is only trusted. */
  async switchToNext(state: AuthorityState, nowMs: number): Promise<void> {
    if (!state.next) return;
    await this.#put('previous.crt', [state.current.certificate, ...state.previous].join(''));
    await this.#put('active.pem', bundleOf(state.next));
    await remove(join(this.#folder, 'next.pem'));
    await this.writeNotes({ switchedAtMs: nowMs });
  }

  /** Somebody else has replaced the authority: the one before it stays trusted for a while. */
  async noteReplaced(before: string, state: AuthorityState, nowMs: number): Promise<void> {
    await this.#put('previous.crt', [before, ...state.previous.filter((one) => one !== before)].join(''));
    await this.writeCurrent({ certificate: state.current.certificate, privateKey: '' });
    await this.writeNotes({ switchedAtMs: nowMs });
  }

  async writePrevious(certificates: readonly string[]): Promise<void> {
    if (certificates.length === 0) await remove(join(this.#folder, 'previous.crt'));
    else await this.#put('previous.crt', certificates.join(''));
  }

  async writeNotes({ nextSinceMs, switchedAtMs, rotationWanted }: AuthorityNotes): Promise<void> {
    const notes = {
      ...(nextSinceMs === undefined ? {} : { nextSince: timeText(nextSinceMs) }),
      ...(switchedAtMs === undefined ? {} : { switchedAt: timeText(switchedAtMs) }),
      ...(rotationWanted ? { rotationWanted } : {}),
    };
    if (Object.keys(notes).length === 0) await remove(join(this.#folder, 'state.json'));
    else await this.#put('state.json', `${JSON.stringify(notes)}\n`);
  }

  /** What servers of ours take clients by. */
  async writeTrusted(state: AuthorityState): Promise<void> {
    makeFolder(this.#folder);
    await putText(this.#trustedFile, trustedOf(state));
  }

  /** The certificate of an authority of somebody else's as it was last seen. */
  async lastSeen(): Promise<string | undefined> {
    return (await this.#certificates('active.pem'))[0];
  }

  async #current(): Promise<Credentials | undefined> {
    if (this.external === undefined) return await this.#bundle('active.pem');
    const [certFile, keyFile] = [join(this.external, 'tls.crt'), join(this.external, 'tls.key')];
    const [certificate, privateKey] = [await readText(certFile), await readText(keyFile)];
    if (certificate === undefined)
      throw new TlsFileError(certFile, 'is missing: expected the certificate of an authority');
    if (privateKey === undefined) throw new TlsFileError(keyFile, 'is missing: expected the key of the authority');
    return authorityIn({ certificate: firstOf(certificate), privateKey }, certFile);
  }

  async #bundle(name: string): Promise<Credentials | undefined> {
    const file = join(this.#folder, name);
    const text = await readText(file);
    if (text === undefined) return undefined;
    const privateKey =
      /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----\n?/.exec(text)?.[0] ?? '';
    return authorityIn({ certificate: firstOf(text), privateKey }, file);
  }

  async #certificates(name: string): Promise<readonly string[]> {
    const text = await readText(join(this.#folder, name));
    return text === undefined ? [] : certificatesOf(Buffer.from(text)).map((one) => one.toString());
  }

  async #notes(): Promise<AuthorityNotes> {
    const file = join(this.#folder, 'state.json');
    const text = await readText(file);
    if (text === undefined) return {};
    const reader = DocumentReader.ofJson(file, text);
    return {
      ...(reader.has('nextSince') ? { nextSinceMs: reader.time('nextSince') } : {}),
      ...(reader.has('switchedAt') ? { switchedAtMs: reader.time('switchedAt') } : {}),
      ...(reader.has('rotationWanted') ? { rotationWanted: true } : {}),
    };
  }

  async #put(name: string, text: string): Promise<void> {
    makeFolder(this.#folder);
    await putText(join(this.#folder, name), text);
  }
}

/** Every authority that certificates of ours may have, PEM, the one that signs first. */
export function trustedOf({ current, next, previous }: AuthorityState): string {
  return [current.certificate, ...(next ? [next.certificate] : []), ...previous].join('');
}

export function fingerprintOf(certificate: string): string {
  return new X509Certificate(certificate).fingerprint256;
}

/** SHA-256 of every certificate of a PEM text. */
export function fingerprintsIn(pem: string): readonly string[] {
  return certificatesOf(Buffer.from(pem)).map(({ fingerprint256 }) => fingerprint256);
}

/** What the certificates of a PEM text say; nothing where there is none. */
export function factsOfCertificate(pem: string | undefined): readonly CertificateFacts[] {
  return pem === undefined ? [] : certificatesOf(Buffer.from(pem)).map(factsOf);
}

function bundleOf({ certificate, privateKey }: Credentials): string {
  return `${certificate}${privateKey}`;
}

function firstOf(pem: string): string {
  return certificatesOf(Buffer.from(pem))[0]?.toString() ?? '';
}

/** @throws {TlsFileError} for what cannot sign */
function authorityIn(credentials: Credentials, file: string): Credentials {
  if (credentials.certificate === '') throw new TlsFileError(file, 'holds no certificate: expected PEM');
  const certificate = new X509Certificate(credentials.certificate);
  if (!certificate.ca) throw new TlsFileError(file, 'is no certificate of an authority');
  // The key of somebody else's authority is not copied.
  if (credentials.privateKey === '') return credentials;
  let matches: boolean;
  try {
    matches = certificate.checkPrivateKey(createPrivateKey(credentials.privateKey));
  } catch {
    // OpenSSL's words say nothing to people, and the key is nobody's business.
    throw new TlsFileError(file, 'stands beside a private key that cannot be read: expected PEM');
  }
  if (!matches) throw new TlsFileError(file, 'does not belong to the private key beside it');
  return credentials;
}

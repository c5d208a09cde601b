import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { reasonOf } from '../../runtime/files/index.ts';
import { certificatesOf } from '../../runtime/tls/index.ts';
import { type AuthFile, emptyAuthFile, parseAuthFile } from './auth-file.ts';
import { AuthFileError } from './auth-file-error.ts';
import type { Authority, Naming } from './authority.ts';
import { readRevocationLists } from './revocation-list.ts';

/** Where users and authorities stand. */
export interface AuthFiles {
  /** Our own authority (PEM), which may name every user. */
  readonly trustedCaFile?: string;
  /** What it has taken back (PEM or DER). */
  readonly crlFile?: string;
  /** Users, roles and more authorities, as `parseAuthFile` reads them. */
  readonly usersFile?: string;
}

/** What the files say. */
export interface LoadedAuth {
  readonly authorities: readonly Authority[];
  readonly file: AuthFile;
  /** PEM. */
  readonly trusted: readonly string[];
  /** Lists that should have been replaced by now: file and time. */
  readonly overdue: readonly { readonly file: string; readonly nextUpdateMs: number }[];
  /** The bytes of all of it, for telling whether something has changed. */
  readonly digest: string;
}

/** Reads everything together. @throws {AuthFileError} */
export async function loadAuth(files: AuthFiles): Promise<LoadedAuth> {
  const read: string[] = [];
  const contentsOf = async (path: string): Promise<Buffer> => {
    const content = await readOrFail(path);
    read.push(path, content.toString('latin1'));
    return content;
  };
  const { trustedCaFile, crlFile, usersFile } = files;
  const text = usersFile === undefined ? undefined : await contentsOf(usersFile);
  const file = usersFile === undefined || !text ? emptyAuthFile : parseAuthFile(text.toString(), usersFile);
  const folder = dirname(usersFile ?? '');
  const wanted: { file: string; crlFile: string | undefined; naming: Naming }[] = file.authorities.map((entry) => ({
    naming: entry.naming,
    file: resolve(folder, entry.file),
    crlFile: entry.crlFile === undefined ? undefined : resolve(folder, entry.crlFile),
  }));
  if (trustedCaFile !== undefined) wanted.unshift({ file: trustedCaFile, crlFile, naming: { kind: 'any' } });
  const overdue: { file: string; nextUpdateMs: number }[] = [];
  const authorities: Authority[] = [];
  for (const one of wanted) {
    const certificates = certificatesIn(one.file, await contentsOf(one.file));
    const revoked = new Set<string>();
    if (one.crlFile !== undefined)
      for (const list of listsIn(one.crlFile, await contentsOf(one.crlFile), certificates)) {
        for (const serial of list.serials) revoked.add(serial);
        if (list.nextUpdateMs !== undefined) overdue.push({ file: one.crlFile, nextUpdateMs: list.nextUpdateMs });
      }
    authorities.push({ name: one.file, certificates, naming: one.naming, revoked });
  }
  if (authorities.length === 0)
    throw new AuthFileError(usersFile ?? 'users', 'authorities', 'no authority is named, so nobody can be a user');
  refuseTwice(authorities);
  const trusted = authorities.flatMap(({ certificates }) => certificates.map((one) => one.toString()));
  return { authorities, file, trusted, overdue, digest: JSON.stringify(read) };
}

/** Reads a file of users by itself, for whoever checks certificates otherwise. @throws {AuthFileError} */
export async function readUsersFile(path: string): Promise<AuthFile> {
  return parseAuthFile((await readOrFail(path)).toString(), path);
}

async function readOrFail(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new AuthFileError(path, undefined, `cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}

function certificatesIn(path: string, pem: Buffer): X509Certificate[] {
  let found: X509Certificate[];
  try {
    found = certificatesOf(pem);
  } catch (error) {
    throw new AuthFileError(path, undefined, 'holds a certificate that cannot be read', { cause: error });
  }
  if (found.length === 0) throw new AuthFileError(path, undefined, 'holds no certificate: expected PEM');
  return found;
}

function listsIn(
  path: string,
  content: Buffer,
  issuers: readonly X509Certificate[],
): ReturnType<typeof readRevocationLists> {
  try {
    return readRevocationLists(content, issuers);
  } catch (error) {
    throw new AuthFileError(path, undefined, error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/**
 * An authority that stands in two places could name users by the more generous one. It is known by its key: another certificate of it
 * would make what the key has signed of two authorities, and so nobody's.
 */
function refuseTwice(authorities: readonly Authority[]): void {
  const seen = new Map<string, Authority>();
  for (const authority of authorities)
    for (const { fingerprint256, publicKey } of authority.certificates) {
      const key = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
      const first = seen.get(key);
      if (first !== undefined && first !== authority)
        throw new AuthFileError(
          authority.name,
          undefined,
          `holds a certificate of a key that ${first.name} holds too (SHA-256 ${fingerprint256})`,
        );
      seen.set(key, authority);
    }
}

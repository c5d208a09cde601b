import { isMap, isSeq, parseDocument } from 'yaml';
import { AuthFileError } from './auth-file-error.ts';
import type { Naming } from './authority.ts';
import { type Access, type Permission, type Role, permitKey, permitPrefix, permitRange } from './role.ts';

/** A file of users, as {@link parseAuthFile} reads it. */
export interface AuthFile {
  readonly authorities: readonly AuthorityEntry[];
  readonly users: readonly UserEntry[];
  readonly roles: readonly Role[];
  /** SHA-256 fingerprints of certificates that are not accepted, upper case with colons. */
  readonly revoked: ReadonlySet<string>;
}

/** Paths are as they stand in the file. */
export interface AuthorityEntry {
  readonly file: string;
  readonly crlFile: string | undefined;
  readonly naming: Naming;
}

export interface UserEntry {
  readonly name: string;
  readonly roles: readonly string[];
  /** SHA-256 fingerprints of the certificates that it may come with; any that names it where nothing is said. */
  readonly certificates: ReadonlySet<string> | undefined;
  /** What a built-in role may want to know of its user: the whole entry. */
  readonly entry: Readonly<Record<string, unknown>>;
}

type Fields = Readonly<Record<string, unknown>>;

export const emptyAuthFile: AuthFile = { authorities: [], users: [], roles: [], revoked: new Set() };

/**
 * Reads the YAML (or JSON) of users: `authorities`, `users`, `roles`, `revoked`. A `users.yaml` of Cilium's is one.
 * @throws {AuthFileError} naming the field, counted from 0 in lists: `users[2].role`
 */
export function parseAuthFile(text: string, file: string): AuthFile {
  const document = parseDocument(text);
  const [mistake] = document.errors;
  if (mistake) throw new AuthFileError(file, undefined, `not YAML: ${mistake.message.split('\n')[0]}`);
  // Not "nobody": it is what a file is while somebody writes it in place, and everybody would be locked out.
  if (document.contents === null)
    throw new AuthFileError(file, undefined, 'is empty: expected a mapping, with nobody in it {}');
  if (!isMap(document.contents) || isSeq(document.contents))
    throw new AuthFileError(file, undefined, 'expected a mapping with authorities, users, roles or revoked');
  const reader = new EntryReader(file, '', document.toJS() as Fields);
  reader.only(['authorities', 'users', 'roles', 'revoked']);
  const roles = reader.entries('roles').map(roleOf);
  const users = reader.entries('users').map(userOf);
  for (const [what, names] of [
    ['roles', roles.map(({ name }) => name)],
    ['users', users.map(({ name }) => name)],
  ] as const) {
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) throw reader.error(what, `${JSON.stringify(twice)} stands there twice`);
  }
  return {
    authorities: reader.entries('authorities').map(authorityOf),
    users,
    roles,
    revoked: new Set(
      reader.texts('revoked').map((text, i) => fingerprintOf(text, (why) => reader.error(`revoked[${i}]`, why))),
    ),
  };
}

function authorityOf(entry: EntryReader): AuthorityEntry {
  entry.only(['file', 'crl-file', 'user', 'users']);
  const user = entry.optionalText('user');
  const users = entry.fields['users'];
  if ((user === undefined) === (users === undefined))
    throw entry.error(
      'user',
      'expected either user (every certificate is that one) or users (a list of names, or "*")',
    );
  const naming: Naming =
    user !== undefined
      ? { kind: 'fixed', user }
      : users === '*'
        ? { kind: 'any' }
        : { kind: 'listed', users: new Set(entry.texts('users')) };
  return { file: entry.text('file'), crlFile: entry.optionalText('crl-file'), naming };
}

function userOf(entry: EntryReader): UserEntry {
  const role = entry.optionalText('role');
  const roles = role === undefined ? entry.texts('roles') : [role];
  if (role !== undefined && entry.fields['roles'] !== undefined) throw entry.error('roles', 'stands beside role');
  if (roles.length === 0) throw entry.error('role', 'expected the name of a role');
  const certificates =
    entry.fields['certificates'] === undefined
      ? undefined
      : new Set(
          entry
            .texts('certificates')
            .map((text, i) => fingerprintOf(text, (why) => entry.error(`certificates[${i}]`, why))),
        );
  return { name: entry.text('name'), roles, certificates, entry: entry.fields };
}

function roleOf(entry: EntryReader): Role {
  entry.only(['name', 'permissions']);
  return { name: entry.text('name'), permissions: entry.entries('permissions').map(permissionOf) };
}

const accesses: readonly string[] = ['read', 'write', 'readwrite'];

function permissionOf(entry: EntryReader): Permission {
  entry.only(['access', 'key', 'prefix', 'from', 'to']);
  const access = entry.text('access');
  if (!accesses.includes(access)) throw entry.error('access', 'expected read, write or readwrite');
  const ways = ['key', 'prefix', 'from'].filter((name) => entry.fields[name] !== undefined);
  const [way] = ways;
  if (way === undefined || ways.length > 1) throw entry.error('key', 'expected one of key, prefix, or from and to');
  const granted = access as Access;
  if (way === 'key') return permitKey(granted, entry.text('key'));
  if (way === 'prefix') return permitPrefix(granted, entry.textOrEmpty('prefix'));
  return permitRange(granted, entry.text('from'), entry.text('to'));
}

function fingerprintOf(text: string, error: (problem: string) => AuthFileError): string {
  const hex = text.replaceAll(':', '').toUpperCase();
  if (!/^[0-9A-F]{64}$/.test(hex)) throw error('expected a SHA-256 fingerprint of 64 hexadecimal digits');
  return hex.match(/../g)?.join(':') ?? '';
}

/** One mapping of the file, and where it stands. */
class EntryReader {
  readonly fields: Fields;
  readonly #file: string;
  readonly #place: string;

  constructor(file: string, place: string, fields: Fields) {
    this.#file = file;
    this.#place = place;
    this.fields = fields;
  }

  error(field: string, problem: string): AuthFileError {
    return new AuthFileError(this.#file, this.#place === '' ? field : `${this.#place}.${field}`, problem);
  }

  only(known: readonly string[]): void {
    for (const name of Object.keys(this.fields))
      if (!known.includes(name)) throw this.error(name, `means nothing here; expected ${known.join(', ')}`);
  }

  textOrEmpty(field: string): string {
    const value = this.fields[field];
    if (typeof value !== 'string') throw this.error(field, 'expected a text');
    return value;
  }

  text(field: string): string {
    const value = this.textOrEmpty(field);
    if (value === '') throw this.error(field, 'expected a text that is not empty');
    return value;
  }

  optionalText(field: string): string | undefined {
    return this.fields[field] === undefined || this.fields[field] === null ? undefined : this.text(field);
  }

  texts(field: string): readonly string[] {
    return this.#list(field).map((value, i) => {
      if (typeof value !== 'string' || value === '') throw this.error(`${field}[${i}]`, 'expected a text');
      return value;
    });
  }

  entries(field: string): readonly EntryReader[] {
    return this.#list(field).map((value, i) => {
      const name = `${field}[${i}]`;
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        throw this.error(name, 'expected a mapping');
      return new EntryReader(this.#file, this.#place === '' ? name : `${this.#place}.${name}`, value as Fields);
    });
  }

  #list(field: string): readonly unknown[] {
    const value = this.fields[field] ?? [];
    if (!Array.isArray(value)) throw this.error(field, 'expected a list');
    return value;
  }
}

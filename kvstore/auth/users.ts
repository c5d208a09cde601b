import type { X509Certificate } from 'node:crypto';
import type { Clock } from '../../runtime/clock/index.ts';
import { fields, type Logger } from '../../runtime/log/index.ts';
import { AuthFileError } from './auth-file-error.ts';
import type { UserEntry } from './auth-file.ts';
import { identify } from './authority.ts';
import { type AuthFiles, type LoadedAuth, loadAuth } from './load.ts';
import { Rights } from './rights.ts';
import { type Role, rootRole } from './role.ts';

/** Users and roles that are there without standing in a file. */
export interface BuiltInUsers {
  /** The roles of a user of that name, if there is one. */
  rolesOf(user: string): readonly Role[] | undefined;
  /**
   * The role of that name for the user of an entry of the file, if there is one.
   * @throws {RangeError} for an entry that lacks what the role has to know of its user: `field: what was expected`
   */
  roleFor(role: string, entry: Readonly<Record<string, unknown>>): Role | undefined;
}

export interface UsersOptions extends AuthFiles {
  /** `root`, who may do everything, is there in any case. */
  readonly builtIn?: BuiltInUsers;
  /** How often the files are looked at; every 2 s unless told. */
  readonly lookEveryMs?: number;
}

export interface UsersDependencies {
  readonly clock: Clock;
  readonly log: Logger;
}

/** Who a client is and what it may do, or why it is nobody. */
export type Identity =
  | { readonly user: string; readonly rights: Rights; readonly notAfterMs: number }
  | { readonly refused: string };

/**
 * The users of a store, known by certificates. Files are followed: what they take away is taken away within two looks.
 * Files that cannot be used change nothing; the last good ones stay in force, and an error in the log says why.
 */
export class Users implements AsyncDisposable {
  readonly #options: UsersOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #ending = new AbortController();
  readonly #listeners = new Set<() => void>();
  #loaded: LoadedAuth;
  #users: ReadonlyMap<string, FileUser>;
  #revision = 1;
  #complaint = '';
  #following: Promise<void> = Promise.resolve();

  /** Reads the files and begins to follow them. @throws {AuthFileError} */
  static async open(options: UsersOptions, deps: UsersDependencies): Promise<Users> {
    const users = new Users(options, deps, await loadAuth(options));
    users.#following = users.#follow();
    return users;
  }

  private constructor(options: UsersOptions, { clock, log }: UsersDependencies, loaded: LoadedAuth) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#loaded = loaded;
    this.#users = usersOf(loaded, options);
    this.#warnOfOverdue();
  }

  /** PEM of the authorities whose certificates make somebody a user. */
  get authorities(): readonly string[] {
    return this.#loaded.trusted;
  }

  /** Counts the times that the files have changed, from 1 on. */
  get revision(): number {
    return this.#revision;
  }

  identify(certificate: X509Certificate): Identity {
    if (this.#loaded.file.revoked.has(certificate.fingerprint256)) return { refused: 'the certificate is revoked' };
    const found = identify(certificate, this.#loaded.authorities, this.#clock.now());
    if ('refused' in found) return found;
    const pinned = this.#users.get(found.user)?.certificates;
    if (pinned && !pinned.has(certificate.fingerprint256))
      return { refused: `the certificate is none of those of the user ${JSON.stringify(found.user)}` };
    const roles = this.#rolesOf(found.user);
    if (!roles) return { refused: `there is no user ${JSON.stringify(found.user)}` };
    return { user: found.user, rights: new Rights(roles), notAfterMs: Date.parse(certificate.validTo) };
  }

  /** Calls `changed` whenever {@link identify} may answer otherwise than before. */
  onChange(changed: () => void): Disposable {
    this.#listeners.add(changed);
    return { [Symbol.dispose]: () => void this.#listeners.delete(changed) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#following;
  }

  /** Who stands in the file is what the file says, whatever is built in. */
  #rolesOf(user: string): readonly Role[] | undefined {
    if (user === 'root') return [rootRole];
    return this.#users.get(user)?.roles ?? this.#options.builtIn?.rolesOf(user);
  }

  async #follow(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      await this.#clock.sleep(this.#options.lookEveryMs ?? 2000, signal).catch(() => undefined);
      if (!signal.aborted) await this.#look();
    }
  }

  async #look(): Promise<void> {
    try {
      const loaded = await loadAuth(this.#options);
      this.#complaint = '';
      if (loaded.digest === this.#loaded.digest) return;
      this.#users = usersOf(loaded, this.#options);
      this.#loaded = loaded;
    } catch (error) {
      this.#complain(error);
      return;
    }
    this.#revision += 1;
    this.#log.info('Users of the store have changed', { [fields.count]: this.#users.size });
    this.#warnOfOverdue();
    for (const changed of this.#listeners) changed();
  }

  /** Once for each different problem. */
  #complain(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (text === this.#complaint) return;
    this.#complaint = text;
    this.#log.error('Users of the store cannot be read; the last good ones stay in force', { [fields.error]: error });
  }

  #warnOfOverdue(): void {
    for (const { file, nextUpdateMs } of this.#loaded.overdue)
      if (nextUpdateMs < this.#clock.now())
        this.#log.warn('A revocation list should have been replaced', {
          file,
          nextUpdate: new Date(nextUpdateMs).toISOString(),
        });
  }
}

interface FileUser {
  readonly roles: readonly Role[];
  readonly certificates: ReadonlySet<string> | undefined;
}

/** Members of an entry that mean the same whatever its roles are. */
const commonMembers: readonly string[] = ['name', 'role', 'roles', 'certificates'];

function usersOf({ file }: LoadedAuth, options: UsersOptions): Map<string, FileUser> {
  const { builtIn, usersFile = '' } = options;
  const ofFile = new Map([rootRole, ...file.roles].map((role) => [role.name, role]));
  const builtInRole = (name: string, { name: user, entry }: UserEntry): Role | undefined => {
    try {
      return builtIn?.roleFor(name, entry);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      throw new AuthFileError(usersFile, `user ${JSON.stringify(user)}`, problem, { cause: error });
    }
  };
  return new Map(
    file.users.map((user, i) => {
      const roles = user.roles.map((name) => {
        const role = ofFile.get(name) ?? builtInRole(name, user);
        if (!role) throw new AuthFileError(usersFile, `users[${i}].role`, `there is no role ${JSON.stringify(name)}`);
        return role;
      });
      const more = Object.keys(user.entry).find((field) => !commonMembers.includes(field));
      if (more !== undefined && user.roles.every((name) => ofFile.has(name)))
        throw new AuthFileError(usersFile, `users[${i}].${more}`, 'means nothing to a role of this file');
      return [user.name, { roles, certificates: user.certificates }];
    }),
  );
}

import type { Etcd3, IOptions } from 'etcd3';
import type { Clock } from '../../runtime/clock/index.ts';
import { readTlsFiles } from '../../runtime/tls/index.ts';
import {
  type KvStoreError,
  LeaseNotFoundError,
  ProtocolError,
  UnavailableError,
  prefixEnd,
  toBytes,
  toText,
} from '../contract/index.ts';
import { type EtcdTarget, GrpcError, parseEndpoint, storeError } from './session/index.ts';
import { grpcStatus } from './wire/index.ts';

export interface EtcdUser {
  readonly name: string;
  readonly roles: readonly string[];
}

export type EtcdAccess = 'read' | 'write' | 'read-write';

export interface EtcdPermission {
  readonly access: EtcdAccess;
  readonly key: Uint8Array;
  /** Exclusive; empty: this key only. */
  readonly rangeEnd: Uint8Array;
}

export interface EtcdRole {
  readonly name: string;
  readonly permissions: readonly EtcdPermission[];
}

export interface EtcdMember {
  /** In hex. */
  readonly id: string;
  /** Empty until it has started for the first time. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

/** A won election. */
export interface EtcdLeadership {
  /** Aborts when it is lost: its lease is gone. */
  readonly lost: AbortSignal;
  resign(): Promise<void>;
}

export interface EtcdAdminOptions extends EtcdTarget {
  readonly clock: Clock;
  /** No call takes longer; 5 s unless told. */
  readonly timeoutMs?: number;
}

/**
 * What is cold and rich: users, roles, members, elections, by the `etcd3` package, which this file alone imports, and only
 * when it is needed (it takes some 40 MB and a good part of a second). Every call has a time limit; nothing is tried twice.
 * What has to be exact or fast (listing, following, leases, transactions) is the store's, see the README.
 */
export async function openEtcdAdmin(options: EtcdAdminOptions): Promise<EtcdAdmin> {
  const { Etcd3: Client } = await import('etcd3');
  return new EtcdAdmin(new Client(await clientOptions(options)), options);
}

const defaultTimeoutMs = 5000;

export class EtcdAdmin implements AsyncDisposable {
  readonly #client: Etcd3;
  readonly #options: EtcdAdminOptions;

  /** @see openEtcdAdmin */
  constructor(client: Etcd3, options: EtcdAdminOptions) {
    this.#client = client;
    this.#options = options;
  }

  async members(): Promise<EtcdMember[]> {
    const { members } = await this.#call('list the members', () => this.#client.cluster.memberList({}));
    return members.map(({ ID, name, peerURLs, clientURLs, isLearner }) => ({
      id: BigInt(ID).toString(16),
      name,
      peerUrls: peerURLs,
      clientUrls: clientURLs,
      isLearner,
    }));
  }

  async users(): Promise<EtcdUser[]> {
    const { users } = await this.#call('list the users', () => this.#client.auth.userList());
    return await Promise.all(
      users.map(async (name) => {
        const { roles } = await this.#call(`read user ${name}`, () => this.#client.auth.userGet({ name }));
        return { name, roles };
      }),
    );
  }

  /** Without a password the user can only be who a certificate's common name says. */
  async addUser(name: string, password?: string): Promise<void> {
    const request = password === undefined ? { name, options: { no_password: true } } : { name, password };
    await this.#call(`add user ${name}`, () => this.#client.auth.userAdd(request));
  }

  async deleteUser(name: string): Promise<void> {
    await this.#call(`delete user ${name}`, () => this.#client.user(name).delete());
  }

  async grantRole(user: string, role: string): Promise<void> {
    await this.#call(`grant role ${role} to user ${user}`, () => this.#client.user(user).addRole(role));
  }

  async revokeRole(user: string, role: string): Promise<void> {
    await this.#call(`revoke role ${role} of user ${user}`, () => this.#client.user(user).removeRole(role));
  }

  async roles(): Promise<EtcdRole[]> {
    const { roles } = await this.#call('list the roles', () => this.#client.auth.roleList());
    return await Promise.all(
      roles.map(async (name) => {
        const { perm } = await this.#call(`read role ${name}`, () => this.#client.auth.roleGet({ role: name }));
        const permissions = perm.map(({ permType, key, range_end: rangeEnd }) => ({
          access: accessOf(permType),
          key,
          rangeEnd,
        }));
        return { name, permissions };
      }),
    );
  }

  async addRole(name: string): Promise<void> {
    await this.#call(`add role ${name}`, () => this.#client.role(name).create());
  }

  async deleteRole(name: string): Promise<void> {
    await this.#call(`delete role ${name}`, () => this.#client.role(name).delete());
  }

  /** Gives a role access to every key that begins with `prefix`. */
  async grantPrefix(role: string, access: EtcdAccess, prefix: string): Promise<void> {
    const key = toBytes(prefix);
    await this.grant(role, { access, key, rangeEnd: prefixEnd(key) });
  }

  /** Gives a role access; what it had for just these keys is replaced. */
  async grant(role: string, { access, key, rangeEnd }: EtcdPermission): Promise<void> {
    const permType = ({ read: 'Read', write: 'Write', 'read-write': 'Readwrite' } as const)[access];
    const perm = { permType, key: Buffer.from(key), range_end: Buffer.from(rangeEnd) };
    await this.#call(`grant role ${role} access to ${JSON.stringify(toText(key))}`, () =>
      this.#client.auth.roleGrantPermission({ name: role, perm }),
    );
  }

  /** Takes a role's access to just these keys away. */
  async revoke(role: string, { key, rangeEnd }: Pick<EtcdPermission, 'key' | 'rangeEnd'>): Promise<void> {
    const range = { key: Buffer.from(key), range_end: Buffer.from(rangeEnd) };
    await this.#call(`revoke role ${role}’s access to ${JSON.stringify(toText(key))}`, () =>
      this.#client.auth.roleRevokePermission({ role, ...range }),
    );
  }

  /** Needs a user `root` with the role `root`. */
  async enableAuth(): Promise<void> {
    await this.#call('enable authentication', () => this.#client.auth.authEnable());
  }

  async disableAuth(): Promise<void> {
    await this.#call('disable authentication', () => this.#client.auth.authDisable());
  }

  /** What the leader of an election proclaims; undefined while there is none. */
  async leader(election: string): Promise<string | undefined> {
    return await this.#call(`ask for the leader of ${election}`, () => this.#client.election(election).leader());
  }

  /** Waits until elected. @throws the signal's reason */
  async campaign(
    election: string,
    value: string,
    options: { readonly signal: AbortSignal; readonly ttlSeconds?: number },
  ): Promise<EtcdLeadership> {
    const { signal, ttlSeconds = 10 } = options;
    signal.throwIfAborted();
    const campaign = this.#client.election(election, ttlSeconds).campaign(value);
    const lost = new AbortController();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    campaign.on('elected', resolve);
    // The listener stays: an error without one would end the process.
    campaign.on('error', (error) => {
      reject(contractError(error, `campaign in ${election}`));
      lost.abort(new LeaseNotFoundError(`Leadership of ${election} was lost`, { cause: error }));
    });
    const resign = (): Promise<void> => this.#call(`resign from ${election}`, () => campaign.resign());
    try {
      await promise;
      return { lost: lost.signal, resign };
    } catch (error) {
      await resign().catch(() => undefined);
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }

  /** The package's own time limits do not cover its log-in, so ours stands around all of it. */
  async #call<T>(what: string, run: () => Promise<T>): Promise<T> {
    const { clock, timeoutMs = defaultTimeoutMs } = this.#options;
    const { promise, reject } = Promise.withResolvers<never>();
    using _timer = clock.timer(timeoutMs, () => {
      reject(new UnavailableError(`Cannot ${what}: no answer within ${timeoutMs} ms`));
    });
    try {
      return await Promise.race([run(), promise]);
    } catch (error) {
      throw contractError(error, what);
    }
  }
}

function accessOf(permType: string): EtcdAccess {
  switch (permType) {
    case 'Read':
    case 'READ':
    case '0':
      return 'read';
    case 'Write':
    case 'WRITE':
    case '1':
      return 'write';
    case 'Readwrite':
    case 'READWRITE':
    case '2':
      return 'read-write';
    default:
      throw new ProtocolError(`Permission of unknown kind ${permType}`);
  }
}

/** The package's errors hold code and text of gRPC in their message. */
function contractError(error: unknown, what: string): KvStoreError {
  if (error instanceof Error && 'retry' in error) return error as KvStoreError;
  const message = error instanceof Error ? error.message : String(error);
  const [, code, text] = /(\d+) [A-Z_]+: ([^]*)$/.exec(message) ?? [];
  const status = code === undefined ? grpcStatus.unavailable : Number(code);
  return storeError(new GrpcError(status, text ?? message), what);
}

async function clientOptions(options: EtcdAdminOptions): Promise<IOptions> {
  const { tls = {}, endpoints, username, password, timeoutMs = defaultTimeoutMs, clock } = options;
  const hasTls = Object.values(tls).some((value) => value !== undefined && value !== false);
  const parsed = endpoints.map((text) => parseEndpoint(text, hasTls));
  const { ca, cert, key } = await readTlsFiles(tls);
  const once = { execute: <T>(run: (context: object) => T): T => run({}) };
  return {
    hosts: parsed.map(({ url }) => url),
    ...(ca
      ? { credentials: { rootCertificate: ca, ...(cert && key ? { certChain: cert, privateKey: key } : {}) } }
      : {}),
    ...(username === undefined ? {} : { auth: { username, password: password ?? '' } }),
    dialTimeout: timeoutMs,
    defaultCallOptions: (context) => (context.isStream ? {} : { deadline: clock.now() + timeoutMs }),
    grpcOptions: {
      'grpc.max_receive_message_length': -1,
      'grpc.keepalive_time_ms': 6000,
      'grpc.keepalive_timeout_ms': 3000,
      ...(tls.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
    },
    // Trying again is the caller's: the package would repeat what may have been done already.
    faultHandling: { global: once, host: () => once } as unknown as NonNullable<IOptions['faultHandling']>,
  };
}

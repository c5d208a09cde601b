import type { Agent } from 'node:http';
import type { Duplex } from 'node:stream';
import type Consul from 'consul';
import { systemClock } from '../../runtime/clock/index.ts';
import { reasonOf } from '../../runtime/files/index.ts';
import { silentLogger } from '../../runtime/log/index.ts';
import { TlsSource } from '../../runtime/tls/index.ts';
import { KvStoreError, PermissionDeniedError, ProtocolError, UnavailableError } from '../contract/index.ts';
import { Connector, ConsulAgent, Token, type ConsulAddress, parseAddress, statusError } from './http/index.ts';
import type { ConsulStoreOptions } from './options.ts';

export interface ConsulAdminOptions extends Pick<
  ConsulStoreOptions,
  'addresses' | 'tls' | 'tokenFile' | 'tokenEnvironment'
> {
  /** No call takes longer; 5 s unless told. */
  readonly timeoutMs?: number;
}

/** The first token of a Consul whose ACLs were just switched on. Never to be logged. */
export interface ConsulBootstrap {
  readonly accessorId: string;
  readonly secretId: string;
}

interface CallSettings {
  readonly token?: string;
  readonly timeout: number;
}

const defaultTimeoutMs = 5000;

/**
 * What is cold: status of the servers, catalog, the beginning of ACLs, by the `consul` package, which this file alone
 * imports, and only when it is needed. Every call has a time limit, which the package lacks; each address is tried once.
 * What has to be exact or fast (listing, following, sessions, transactions) is the store's, see the README.
 */
export class ConsulAdmin {
  readonly #options: ConsulAdminOptions;
  readonly #addresses: readonly ConsulAddress[];
  readonly #token: Token;
  readonly #connector: Connector;

  constructor(options: ConsulAdminOptions) {
    this.#options = options;
    this.#addresses = options.addresses.map(parseAddress);
    this.#token = new Token(options);
    const tls = new TlsSource(options.tls ?? {}, { clock: systemClock, log: silentLogger });
    this.#connector = new Connector(tls, systemClock);
  }

  /** Address of the server that leads, as the servers name it; undefined while none does. */
  async leader(): Promise<string | undefined> {
    const leader = await this.#call('ask who leads', (client, settings) => client.status.leader(settings as never));
    if (typeof leader !== 'string') throw new ProtocolError('Cannot ask who leads: the answer is no address');
    return leader === '' ? undefined : leader;
  }

  /** Addresses of all servers. */
  async peers(): Promise<string[]> {
    const peers = await this.#call('list the servers', (client, settings) => client.status.peers(settings as never));
    return textsOf(peers, 'list the servers');
  }

  /** Version of the agent that answers. @throws {PermissionDeniedError} without `agent:read` */
  async version(): Promise<string> {
    const what = 'ask for the version';
    const self: unknown = await this.#call(what, (client, settings) => client.agent.self(settings as never));
    const version = memberOf(memberOf(self, 'Config'), 'Version');
    if (typeof version !== 'string') throw new ProtocolError(`Cannot ${what}: the answer has none`);
    return version;
  }

  /** Names of the nodes of the catalog that this token may see. */
  async nodes(): Promise<string[]> {
    const what = 'list the nodes';
    const nodes: unknown = await this.#call(what, (client, settings) => client.catalog.nodes(settings as never));
    if (!Array.isArray(nodes)) throw new ProtocolError(`Cannot ${what}: the answer is no list`);
    return textsOf(
      nodes.map((node: unknown) => memberOf(node, 'Node')),
      what,
    );
  }

  /** Makes the first management token. Once only, by whoever comes first. @throws {PermissionDeniedError} */
  async bootstrapAcl(): Promise<ConsulBootstrap> {
    const what = 'bootstrap the ACLs';
    const made: unknown = await this.#call(what, (client, settings) => client.acl.bootstrap(settings as never));
    const [accessorId, secretId] = [memberOf(made, 'AccessorID'), memberOf(made, 'SecretID')];
    if (typeof accessorId !== 'string' || typeof secretId !== 'string')
      throw new ProtocolError(`Cannot ${what}: the answer names no token`);
    return { accessorId, secretId };
  }

  async #call<T>(what: string, run: (client: Consul, settings: CallSettings) => Promise<T>): Promise<T> {
    const { timeoutMs: timeout = defaultTimeoutMs } = this.#options;
    let failure: KvStoreError | undefined;
    for (const address of this.#addresses) {
      const token = await this.#token.current();
      try {
        try {
          return await this.#ask(address, token, what, run, timeout);
        } catch (error) {
          // It may have been exchanged since it was read.
          if (!(error instanceof PermissionDeniedError) || !(await this.#token.isReplaced(token))) throw error;
          return await this.#ask(address, await this.#token.current(), what, run, timeout);
        }
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        failure = error;
      }
    }
    throw failure ?? new TypeError('No address of Consul is given');
  }

  async #ask<T>(
    address: ConsulAddress,
    token: string | undefined,
    what: string,
    run: (client: Consul, settings: CallSettings) => Promise<T>,
    timeout: number,
  ): Promise<T> {
    let socket: Duplex | null = null;
    const agent = new ConsulAgent(1, async () => (socket = await this.#connector.connect(address)));
    try {
      const client = await clientOf(address, agent);
      return await run(client, { timeout, ...(token === undefined ? {} : { token }) });
    } catch (error) {
      throw storeErrorOf(this.#connector.explain(socket, error), what, address, this.#token.origin);
    } finally {
      agent.destroy();
    }
  }
}

/** The agent makes the connection, with or without TLS, so that the package is told of neither. */
async function clientOf({ host, port }: ConsulAddress, agent: Agent): Promise<Consul> {
  const { default: Client } = await import('consul');
  return new Client({ host: host.includes(':') ? `[${host}]` : host, port: port || 80, secure: false, agent });
}

/** The package prefixes its messages and gives the status where there was an answer. */
function storeErrorOf(error: unknown, what: string, { text }: ConsulAddress, tokenOrigin: string): KvStoreError {
  if (error instanceof KvStoreError) return error;
  const message = reasonOf(error);
  const status = memberOf(error, 'statusCode');
  if (typeof status === 'number') return statusError(status, message, what, tokenOrigin);
  return new UnavailableError(`Cannot ${what}: Consul at ${text}: ${message}`, { cause: error });
}

function textsOf(value: unknown, what: string): string[] {
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
    throw new ProtocolError(`Cannot ${what}: the answer is no list of texts`);
  return value;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

import { InvalidRequestError, ProtocolError } from '../contract/index.ts';
import { parseJson } from './entry.ts';
import type { ConsulHttp } from './http/index.ts';
import { leaseOfSession, sessionOfLease } from './keys.ts';

/** What Consul allows (`agent/structs/structs.go`, `SessionTTLMin` and `SessionTTLMax`). */
export const shortestTtlSeconds = 10;
const longestTtlSeconds = 86_400;

/** The time to live that a session gets for the one wished. */
export function sessionTtl(wishedSeconds: number): number {
  const seconds = Math.max(shortestTtlSeconds, Math.ceil(wishedSeconds));
  if (!(wishedSeconds > 0) || seconds > longestTtlSeconds)
    throw new InvalidRequestError(`Consul grants leases of up to ${longestTtlSeconds} s, not of ${wishedSeconds} s`);
  return seconds;
}

/**
 * Sessions on a catalog node of their own that no agent looks after: one bound to an agent's node would end with that
 * agent.
 */
export class Sessions {
  readonly #http: ConsulHttp;
  readonly #node: string;

  constructor(http: ConsulHttp, node: string) {
    this.#http = http;
    this.#node = node;
  }

  /** Makes a session whose keys go with it. Registers the node only where it is missing: that takes a right of its own. */
  async create(ttlSeconds: number, signal?: AbortSignal): Promise<bigint> {
    try {
      return await this.#create(ttlSeconds, signal);
    } catch (error) {
      if (!(error instanceof InvalidRequestError) || !error.message.includes('node registration')) throw error;
      await this.#register(signal);
      return await this.#create(ttlSeconds, signal);
    }
  }

  /** @throws {LeaseNotFoundError} */
  async renew(lease: bigint, signal: AbortSignal): Promise<void> {
    await this.#http.call({
      method: 'PUT',
      path: `session/renew/${sessionOfLease(lease)}`,
      what: 'renew a lease',
      signal,
      repeatable: true,
    });
  }

  async destroy(lease: bigint): Promise<void> {
    await this.#http.call({
      method: 'PUT',
      path: `session/destroy/${sessionOfLease(lease)}`,
      what: 'revoke a lease',
      repeatable: true,
    });
  }

  async #create(ttlSeconds: number, signal: AbortSignal | undefined): Promise<bigint> {
    const what = 'grant a lease';
    const { text } = await this.#http.call({
      method: 'PUT',
      path: 'session/create',
      body: JSON.stringify({
        Name: 'isthmus',
        Node: this.#node,
        // Without this the health of the node's agent would count.
        NodeChecks: [],
        TTL: `${ttlSeconds}s`,
        LockDelay: '0s',
        Behavior: 'delete',
      }),
      what,
      signal,
    });
    const answer = parseJson(text, what) as { readonly ID?: unknown } | null;
    if (typeof answer?.ID !== 'string' || !/^[0-9a-f-]{36}$/.test(answer.ID))
      throw new ProtocolError(`Cannot ${what}: the answer names no session`);
    return leaseOfSession(answer.ID);
  }

  async #register(signal: AbortSignal | undefined): Promise<void> {
    await this.#http.call({
      method: 'PUT',
      path: 'catalog/register',
      body: JSON.stringify({
        Node: this.#node,
        Address: '127.0.0.1',
        NodeMeta: { 'external-node': 'true', 'external-probe': 'false' },
      }),
      what: 'register the node of leases',
      signal,
      repeatable: true,
    });
  }
}

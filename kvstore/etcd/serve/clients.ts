import type { Clock } from '../../../runtime/clock/index.ts';
import type { Logger } from '../../../runtime/log/index.ts';
import type { Client } from './client.ts';
import type { ServeLimits } from './limits.ts';
import { Seldom } from './seldom.ts';

/** What all connections of one user make us hold. */
export interface Tally {
  connections: number;
  watches: number;
}

/** Everybody who is connected. Whoever does not take what it is sent, beyond all measure, is so no longer. */
export class Clients implements Iterable<Client> {
  readonly #limits: ServeLimits;
  readonly #log: Logger;
  readonly #seldom: Seldom;
  readonly #all = new Set<Client>();
  readonly #tallies = new Map<string, Tally>();
  /** Connections that were closed for what they made us hold. */
  cuts = 0;

  constructor(limits: ServeLimits, { log, clock }: { readonly log: Logger; readonly clock: Clock }) {
    this.#limits = limits;
    this.#log = log;
    this.#seldom = new Seldom(clock);
  }

  [Symbol.iterator](): Iterator<Client> {
    return this.#all.values();
  }

  get count(): number {
    return this.#all.size;
  }

  /** False for one connection too many of a user; it is not added then. */
  add(client: Client): boolean {
    const { tally } = client;
    if (tally.connections >= this.#limits.maxConnectionsPerUser && client.user !== undefined) {
      this.#seldom.run(() =>
        this.#log.warn('A connection of an etcd client is refused, its user has too many', { user: client.user }),
      );
      return false;
    }
    tally.connections += 1;
    this.#all.add(client);
    return true;
  }

  delete(client: Client): void {
    if (!this.#all.delete(client)) return;
    client.tally.connections -= 1;
    if (client.tally.connections === 0 && client.tallied !== undefined) this.#tallies.delete(client.tallied);
  }

  /** Where clients are not told apart, each is a user of its own. */
  tallyOf(user: string | undefined): Tally {
    const fresh = { connections: 0, watches: 0 };
    if (user === undefined) return fresh;
    const tally = this.#tallies.get(user) ?? fresh;
    this.#tallies.set(user, tally);
    return tally;
  }

  /** To be called whenever more was given to a client to be sent. */
  owes(client: Client): void {
    // An answer that was asked for may be of any length; what is pushed may not pile up.
    if (client.unsentPushes > this.#limits.maxUnsentPerConnection) this.#cut(client);
    if (client.server.unsentBytes <= this.#limits.maxUnsentTotal) return;
    const [first] = [...this.#all].toSorted((a, b) => owed(b) - owed(a));
    if (first) this.#cut(first);
  }

  #cut(client: Client): void {
    this.cuts += 1;
    this.#seldom.run(() =>
      this.#log.warn('An etcd client is cut off, it does not read', { user: client.user, unsentBytes: owed(client) }),
    );
    client.cut();
  }
}

function owed({ unsentAnswers, unsentPushes }: Client): number {
  return unsentAnswers + unsentPushes;
}

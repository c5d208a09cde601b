import type { Clock } from '../../../runtime/clock/index.ts';
import type { Logger } from '../../../runtime/log/index.ts';
import type { ServeLimits } from './limits.ts';
import { Seldom } from './seldom.ts';
import { Turnstile } from './turnstile.ts';

/** What all connections of one user make us hold. */
export interface Tally {
  connections: number;
  watches: number;
  /** Reads of ranges at a time: one user never has all the places. */
  readonly wide: Turnstile;
}

const wideReads = 8;

/** A connection, as far as all of them together are looked after. */
export interface Connected {
  readonly user: string | undefined;
  readonly tally: Tally;
  readonly tallied: string | undefined;
  readonly unsentAnswers: number;
  readonly unsentPushes: number;
  readonly requestBytes: number;
  readonly server: { readonly unsentBytes: number; readonly requestBytes: number };
  readonly lasting: Iterable<{ end(code: number, text: string): void }>;
  identifyAgain(): void;
  expire(nowMs: number): void;
  cut(): void;
}

/** Everybody who is connected. Whoever does not take what it is sent, beyond all measure, is so no longer. */
export class Clients implements Iterable<Connected> {
  readonly #limits: ServeLimits;
  readonly #log: Logger;
  readonly #seldom: Seldom;
  readonly #all = new Set<Connected>();
  readonly #tallies = new Map<string, Tally>();
  /** Those that were cut off and are not closed yet. */
  readonly #gone = new WeakSet<Connected>();
  /** Connections that were closed for what they made us hold. */
  cuts = 0;

  constructor(limits: ServeLimits, { log, clock }: { readonly log: Logger; readonly clock: Clock }) {
    this.#limits = limits;
    this.#log = log;
    this.#seldom = new Seldom(clock);
  }

  [Symbol.iterator](): Iterator<Connected> {
    return this.#all.values();
  }

  get count(): number {
    return this.#all.size;
  }

  /** False for one connection too many of a user; it is not added then. */
  add(client: Connected): boolean {
    const { tally } = client;
    if (tally.connections >= this.#limits.maxConnectionsPerUser && client.tallied !== undefined) {
      this.#seldom.run(() =>
        this.#log.warn('A connection of an etcd client is refused, its user has too many', {
          user: client.user ?? 'none',
        }),
      );
      return false;
    }
    tally.connections += 1;
    this.#all.add(client);
    return true;
  }

  delete(client: Connected): void {
    if (!this.#all.delete(client)) return;
    client.tally.connections -= 1;
    if (client.tally.connections === 0 && client.tallied !== undefined) this.#tallies.delete(client.tallied);
  }

  /** Where clients are not told apart, each is a user of its own. */
  tallyOf(user: string | undefined): Tally {
    const fresh = { connections: 0, watches: 0, wide: new Turnstile(wideReads) };
    if (user === undefined) return fresh;
    const tally = this.#tallies.get(user) ?? fresh;
    this.#tallies.set(user, tally);
    return tally;
  }

  /** To be called whenever more was given to a client to be sent. */
  owes(client: Connected): void {
    // An answer that was asked for may be of any length; what is pushed may not pile up.
    if (client.unsentPushes > this.#limits.maxUnsentPerConnection) this.#cut(client);
    if (client.server.unsentBytes > this.#limits.maxUnsentTotal) this.#relieve(owed, this.#limits.maxUnsentTotal);
  }

  /** To be called whenever more of a client's requests has come. */
  asks({ server }: Connected): void {
    const max = this.#limits.maxRequestBytesTotal;
    if (server.requestBytes > max) this.#relieve(({ requestBytes }) => requestBytes, max);
  }

  /** Many connections spare nobody: the user with most has one closed, that with most. */
  #relieve(bytesOf: (client: Connected) => number, max: number): void {
    let all = 0;
    const byUser = new Map<Tally, number>();
    const clients = [...this.#all].filter((client) => !this.#gone.has(client));
    for (const client of clients) {
      const bytes = bytesOf(client);
      all += bytes;
      byUser.set(client.tally, (byUser.get(client.tally) ?? 0) + bytes);
    }
    // What those had who were just closed is on its way out.
    if (all <= max) return;
    const ofUser = ({ tally }: Connected): number => byUser.get(tally) ?? 0;
    const [first] = clients.toSorted((a, b) => ofUser(b) - ofUser(a) || bytesOf(b) - bytesOf(a));
    if (first) this.#cut(first);
  }

  #cut(client: Connected): void {
    this.#gone.add(client);
    this.cuts += 1;
    this.#seldom.run(() =>
      this.#log.warn('An etcd client is cut off, it makes us hold too much', {
        user: client.user,
        unsentBytes: owed(client),
        requestBytes: client.requestBytes,
      }),
    );
    client.cut();
  }
}

function owed({ unsentAnswers, unsentPushes }: Connected): number {
  return unsentAnswers + unsentPushes;
}

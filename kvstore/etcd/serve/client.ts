import type { X509Certificate } from 'node:crypto';
import type { Timer } from '../../../runtime/clock/index.ts';
import { GuardedEngine, type Identity, type Rights, noRights, permissionDenied } from '../../auth/index.ts';
import type { Engine } from '../../contract/index.ts';
import { turns } from '../../engine/index.ts';
import { type ResponseHeader, grpcStatus } from '../wire/index.ts';
import type { Tally } from './clients.ts';
import { tooManyRequests } from './refusals.ts';
import type { ServeContext } from './serve-context.ts';
import { Turnstile } from './turnstile.ts';

/** A stream that lasts until somebody ends it. */
export interface LastingStream {
  end(code: number, text: string): void;
  /** The client's rights have changed. */
  recheck(): void;
}

/** What a client speaks over, HTTP/1.1 or 2. */
export interface Speech {
  /** Ends it when what is under way is answered. */
  close(): void;
  destroy(): void;
}

/** Reads of ranges on one connection at a time. They are work for one thread: more would only hold more memory. */
const wideReads = 4;
const denied = permissionDenied();
/** No user is called so. */
const nobody = '';
/** Statuses that were sent need a moment to go out before the connection is closed. */
const farewellMs = 1000;

/** One connection and who is at its other end: what it may do, and how much it makes us hold. */
export class Client {
  readonly server: ServeContext;
  readonly lasting = new Set<LastingStream>();
  readonly #certificate: X509Certificate | undefined;
  readonly #guarded: Engine;
  readonly #wide = new Turnstile(wideReads);
  #speech: Speech | undefined;
  #identity: Identity | undefined;
  #farewell: Timer | undefined;
  #ended = false;
  /** Bytes of requests that are incomplete or not answered yet. */
  requestBytes = 0;
  /** Bytes of answers, and of what streams push, that the client has not taken yet. */
  unsentAnswers = 0;
  unsentPushes = 0;
  /** Watches that are open. */
  watches = 0;
  /** What its user has open, under the name it came with. Where there are users, nobodies share what one may have. */
  readonly tallied: string | undefined;
  readonly tally: Tally;

  constructor(server: ServeContext, certificate: X509Certificate | undefined) {
    this.server = server;
    this.#certificate = certificate;
    this.#guarded = new GuardedEngine(server.engine, () => this.rights ?? noRights);
    this.#identity = this.#identify();
    this.tallied = this.refused === undefined ? this.user : nobody;
    this.tally = server.clients.tallyOf(this.tallied);
  }

  /** Undefined where there are no users, or the client is none. */
  get user(): string | undefined {
    return this.#identity && 'user' in this.#identity ? this.#identity.user : undefined;
  }

  /** Why the client is nobody although there are users. */
  get refused(): string | undefined {
    return this.#identity && 'refused' in this.#identity ? this.#identity.refused : undefined;
  }

  /** Undefined where there are no users, and everybody may do everything. */
  get rights(): Rights | undefined {
    if (this.#identity === undefined) return undefined;
    return 'rights' in this.#identity ? this.#identity.rights : noRights;
  }

  /** Whether one watch more is too much. */
  get watchesEnough(): boolean {
    const { maxWatches, maxWatchesPerUser } = this.server.limits;
    return this.watches >= maxWatches || (this.user !== undefined && this.tally.watches >= maxWatchesPerUser);
  }

  watchOpened(): void {
    this.watches += 1;
    this.tally.watches += 1;
  }

  watchClosed(): void {
    this.watches -= 1;
    this.tally.watches -= 1;
  }

  /** The engine as far as this client may use it. */
  get engine(): Engine {
    const { rights } = this;
    return rights === undefined || rights.root ? this.server.engine : this.#guarded;
  }

  /** Bound, so that a handler may take it out of the client. */
  readonly header = (revision: number): ResponseHeader => this.server.header(revision);

  /** @throws {EngineError} to who may not, or has enough of them. */
  grantLease(request: Parameters<Engine['leaseGrant']>[0]): ReturnType<Engine['leaseGrant']> {
    const { user, rights, engine } = this;
    const give = (): ReturnType<Engine['leaseGrant']> => engine.leaseGrant(request);
    return user === undefined || rights?.root !== false ? give() : this.server.granted.grant(user, give);
  }

  /** @throws {EngineError} etcd's refusal, to whoever may not do everything. */
  demandRoot(): void {
    if (this.rights?.root === false) throw permissionDenied();
  }

  /** @throws {EngineError} to a client that has not taken what it was given before. */
  demandRoom(): void {
    if (this.unsentAnswers > this.server.limits.maxUnsentPerConnection) throw tooManyRequests();
  }

  /** Gives an answer that may be of any length, when few others are made and while somebody still waits for it. */
  readWide(answer: () => Promise<void>, wanted: () => boolean): Promise<void> {
    return this.#wide.pass(() =>
      this.tally.wide.pass(() =>
        this.server.wide.pass(() =>
          turns.once(async () => {
            if (!wanted()) throw tooManyRequests();
            this.demandRoom();
            await answer();
          }, this.tally),
        ),
      ),
    );
  }

  speaks(speech: Speech): void {
    this.#speech = speech;
  }

  /** Asks anew who the client is. Whoever is nobody any more, or another, loses its connection. */
  identifyAgain(): void {
    if (this.#ended) return;
    const before = this.user;
    this.#identity = this.#identify();
    if (before !== undefined && before !== this.user) this.end(denied.grpcCode, denied.message);
    else for (const stream of this.lasting) stream.recheck();
  }

  /** Ends the connection of a certificate that has expired; a client that has a new one comes again. */
  expire(nowMs: number): void {
    if (this.#identity && 'user' in this.#identity && nowMs > this.#identity.notAfterMs && !this.#ended)
      this.end(grpcStatus.unavailable, 'isthmus: the certificate of this connection has expired');
  }

  /** Ends all streams with a status, and the connection. */
  end(code: number, text: string): void {
    this.#ended = true;
    if (this.#identity) this.#identity = { refused: text };
    for (const stream of this.lasting) stream.end(code, text);
    this.#speech?.close();
    this.#farewell ??= this.server.clock.timer(farewellMs, () => this.#speech?.destroy());
  }

  /** Ends the connection now, whatever was under way. */
  cut(): void {
    this.#ended = true;
    this.#speech?.destroy();
  }

  closed(): void {
    this.#farewell?.[Symbol.dispose]();
  }

  #identify(): Identity | undefined {
    const { users } = this.server;
    if (!users) return undefined;
    return this.#certificate ? users.identify(this.#certificate) : { refused: 'no certificate was presented' };
  }
}

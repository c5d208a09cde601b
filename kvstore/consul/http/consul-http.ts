import { type Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import type { Clock, Timer } from '../../../runtime/clock/index.ts';
import { reasonOf } from '../../../runtime/files/index.ts';
import { isAbort, linkedController } from '../../../runtime/tasks/index.ts';
import { TlsSource } from '../../../runtime/tls/index.ts';
import {
  ClosedError,
  PermissionDeniedError,
  ProtocolError,
  type StoreHealth,
  UnavailableError,
} from '../../contract/index.ts';
import type { ConsulStoreOptions } from '../options.ts';
import { type ConsulAddress, parseAddress } from './address.ts';
import { Connector } from './connect.ts';
import { ConsulAgent, NotConnected } from './consul-agent.ts';
import { CrowdedError, NotAppliedError, namesSession, statusError } from './status-errors.ts';
import { Token } from './token.ts';

/** Consul refuses more than 200 connections of one client; what waits has most of them. */
const maxConnections = { call: 24, watch: 128 } as const;
const attemptTimeoutMs = 7000;
const idleTimeoutMs = 10_000;
const maxTextBytes = 256 << 20;

export interface ConsulRequest {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  /** Path below `/v1/`, with its parameters, encoded. */
  readonly path: string;
  /** Names operation and object, for errors. */
  readonly what: string;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal | undefined;
  /** May be sent twice without harm. */
  readonly repeatable?: boolean;
  /** Statuses that the caller understands; others are thrown. 200 unless told. */
  readonly accept?: readonly number[];
  /** For blocking queries: how long the answer may take to begin. */
  readonly answerTimeoutMs?: number;
  /** For other calls: how long the answer may take to begin; 7 s unless told. */
  readonly patienceMs?: number;
}

export interface ConsulReply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
}

export interface ConsulText extends ConsulReply {
  readonly text: string;
}

/** Consul's HTTP API over few connections: with time-outs always, repetition where it is safe, and errors of the contract. */
export class ConsulHttp implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #addresses: readonly ConsulAddress[];
  readonly #agents: { readonly call: Agent; readonly watch: Agent };
  readonly #token: Token;
  readonly #connector: Connector;
  readonly #callTimeoutMs: number;
  readonly #random: () => number;
  readonly #closing = new AbortController();
  #current = 0;
  #connected = false;
  #everConnected = false;
  #reconnections = 0;
  #lastContactMs: number | undefined;
  #error: string | undefined;
  #lostSinceMs: number | undefined;
  #revision = 0;
  storeId: string | undefined;

  constructor(options: ConsulStoreOptions) {
    const { addresses, tls = {}, clock, log } = options;
    if (addresses.length === 0) throw new TypeError('No address of Consul is given');
    this.#addresses = addresses.map(parseAddress);
    this.#clock = clock;
    this.#token = new Token(options);
    this.#callTimeoutMs = options.callTimeoutMs ?? 15_000;
    this.#random = options.random ?? Math.random;
    this.#connector = new Connector(new TlsSource(tls, { clock, log }), clock, options.lookup);
    const agent = (maxSockets: number): Agent =>
      new ConsulAgent(maxSockets, (name) => {
        const address = this.#addresses.find(({ text }) => text === name);
        if (!address) throw new TypeError('A connection was asked for an address that is not configured');
        return this.#connector.connect(address);
      });
    this.#agents = { call: agent(maxConnections.call), watch: agent(maxConnections.watch) };
  }

  /** Aborts when the store is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Highest index of the key-value table seen in any answer. */
  get revision(): number {
    return this.#revision;
  }

  saw(index: number): number {
    if (index > this.#revision) this.#revision = index;
    return this.#revision;
  }

  /** The store was replaced: what was seen of the former one means nothing. */
  forget(): void {
    this.#revision = 0;
  }

  health(): StoreHealth {
    return {
      connected: this.#connected && !this.closing.aborted,
      revision: this.#revision,
      endpoint: this.#address().text,
      reconnections: this.#reconnections,
      ...(this.storeId === undefined ? {} : { storeId: this.storeId }),
      ...(this.#lastContactMs === undefined ? {} : { lastContactMs: this.#lastContactMs }),
      ...(this.#connected || this.#error === undefined ? {} : { error: this.#error }),
      ...(this.#connected || this.#lostSinceMs === undefined ? {} : { lostSinceMs: this.#lostSinceMs }),
    };
  }

  /** One call whose answer is text. Repeats it until it passes, where it may be repeated and there is time. */
  async call(request: ConsulRequest): Promise<ConsulText> {
    return this.receive(request, async (reply, chunks) => ({ ...reply, text: await textOf(chunks, request.what) }));
  }

  /** As {@link call}; `consume` gets the bytes as they come, and only its last run counts. */
  async receive<T>(
    request: ConsulRequest,
    consume: (reply: ConsulReply, chunks: AsyncIterable<Buffer>) => Promise<T>,
  ): Promise<T> {
    const deadlineMs = this.#clock.monotonicMs() + this.#callTimeoutMs;
    for (let failures = 1; ; failures++) {
      try {
        const leftMs = deadlineMs - this.#clock.monotonicMs();
        return await this.once({ ...request, patienceMs: Math.min(attemptTimeoutMs, leftMs) }, consume);
      } catch (error) {
        const again = error instanceof NotAppliedError || (request.repeatable && error instanceof UnavailableError);
        const waitMs = Math.min(1000, 25 * 2 ** Math.min(failures, 10)) * (1 - this.#random() / 2);
        if (!again || this.#clock.monotonicMs() + waitMs > deadlineMs) throw error;
        await this.#sleep(waitMs, request.signal);
      }
    }
  }

  /** One attempt, and a second one with a token that was renewed meanwhile. */
  async once<T>(
    request: ConsulRequest,
    consume: (reply: ConsulReply, chunks: AsyncIterable<Buffer>) => Promise<T>,
  ): Promise<T> {
    request.signal?.throwIfAborted();
    this.closing.throwIfAborted();
    const token = await this.#token.current();
    try {
      return await this.#exchange(request, token, consume);
    } catch (error) {
      if (!(error instanceof PermissionDeniedError) || !(await this.#token.isReplaced(token))) throw error;
      return await this.#exchange(request, await this.#token.current(), consume);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.closing.aborted) return;
    this.#closing.abort(new ClosedError('The store is closed'));
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }

  async #exchange<T>(
    request: ConsulRequest,
    token: string | undefined,
    consume: (reply: ConsulReply, chunks: AsyncIterable<Buffer>) => Promise<T>,
  ): Promise<T> {
    request.signal?.throwIfAborted();
    this.closing.throwIfAborted();
    const address = this.#address();
    using ending = linkedController(request.signal);
    const onClosing = (): void => ending.abort(this.closing.reason);
    this.closing.addEventListener('abort', onClosing, { once: true });
    try {
      return await this.#send(address, token, request, ending.signal, consume);
    } catch (error) {
      this.closing.throwIfAborted();
      if (request.signal && isAbort(error, request.signal)) throw request.signal.reason;
      if (error instanceof ConnectionFailure) this.#failed(address, error);
      // A server that is cut off from the others answers, and has no leader to ask.
      else if (error instanceof UnavailableError && !(error instanceof CrowdedError)) this.#leave(address);
      if (!(error instanceof ConnectionFailure)) throw error;
      const said = `Cannot ${request.what}: ${error.message}`;
      throw error.sent ? new UnavailableError(said, { cause: error }) : new NotAppliedError(said, { cause: error });
    } finally {
      this.closing.removeEventListener('abort', onClosing);
    }
  }

  async #send<T>(
    address: ConsulAddress,
    token: string | undefined,
    request: ConsulRequest,
    signal: AbortSignal,
    consume: (reply: ConsulReply, chunks: AsyncIterable<Buffer>) => Promise<T>,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const body = typeof request.body === 'string' ? Buffer.from(request.body) : request.body;
    const sent = httpRequest({
      agent: request.answerTimeoutMs === undefined ? this.#agents.call : this.#agents.watch,
      method: request.method,
      path: `/v1/${request.path}`,
      // The agent keeps connections apart by this name and finds the address by it.
      host: address.text,
      headers: {
        host: address.socketPath === undefined ? `${address.host}:${address.port}` : 'localhost',
        ...(body ? { 'content-length': body.length } : {}),
        ...(token === undefined ? {} : { 'x-consul-token': token }),
      },
    });
    let timer: Timer | undefined;
    let answer: IncomingMessage | undefined;
    const arm = (ms: number): void => {
      timer?.[Symbol.dispose]();
      timer = this.#clock.timer(ms, () => sent.destroy(new Error(`nothing came within ${Math.ceil(ms)} ms`)));
    };
    const onAbort = (): void => void sent.destroy(signal.reason);
    const failed = (error: unknown): void => {
      const meant = this.#connector.explain(sent.socket, error);
      reject(signal.aborted ? signal.reason : new ConnectionFailure(meant, address, !(error instanceof NotConnected)));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    sent.once('response', resolve);
    sent.on('error', failed);
    try {
      arm(request.answerTimeoutMs ?? request.patienceMs ?? attemptTimeoutMs);
      sent.end(body);
      answer = await promise;
      this.#answered();
      const chunks = received(answer, address, signal, () => arm(idleTimeoutMs));
      const reply: ConsulReply = { status: answer.statusCode ?? 0, headers: answer.headers };
      if (reply.status === 404 && this.#addresses.length > 1 && reply.headers['x-consul-index'] === undefined)
        await this.#leaveStranger(chunks, request.what, address);
      if ((request.accept ?? [200]).includes(reply.status)) return await consume(reply, chunks);
      throw statusError(reply.status, await textOf(chunks, request.what), request.what, this.#token.origin);
    } finally {
      timer?.[Symbol.dispose]();
      signal.removeEventListener('abort', onAbort);
      if (!answer?.complete) sent.destroy();
    }
  }

  /** @throws the error of a Consul that does not find a session, or one after which the next address is tried */
  async #leaveStranger(chunks: AsyncIterable<Buffer>, what: string, { text }: ConsulAddress): Promise<never> {
    const said = await textOf(chunks, what);
    throw namesSession(said)
      ? statusError(404, said, what, this.#token.origin)
      : new NotAppliedError(`Cannot ${what}: the server at ${text} answers 404, as no Consul does`);
  }

  #address(): ConsulAddress {
    const address = this.#addresses[this.#current % this.#addresses.length];
    if (!address) throw new TypeError('No address of Consul is given');
    return address;
  }

  #answered(): void {
    if (!this.#connected && this.#everConnected) this.#reconnections += 1;
    this.#connected = true;
    this.#lostSinceMs = undefined;
    this.#everConnected = true;
    this.#lastContactMs = this.#clock.now();
  }

  #failed(address: ConsulAddress, error: Error): void {
    this.#connected = false;
    this.#lostSinceMs ??= this.#clock.now();
    this.#error = error.message;
    this.#leave(address);
  }

  /** The next call tries the next address. */
  #leave(address: ConsulAddress): void {
    if (address === this.#address()) this.#current += 1;
  }

  async #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    using waiting = linkedController(signal);
    const onClosing = (): void => waiting.abort(this.closing.reason);
    this.closing.addEventListener('abort', onClosing, { once: true });
    try {
      await this.#clock.sleep(ms, waiting.signal);
    } finally {
      this.closing.removeEventListener('abort', onClosing);
    }
  }
}

class ConnectionFailure extends Error {
  /** Whether the request may have reached the server. */
  readonly sent: boolean;

  constructor(cause: unknown, { text }: ConsulAddress, sent: boolean) {
    super(sent ? `Consul at ${text}: ${reasonOf(cause)}` : `cannot reach Consul at ${text}: ${reasonOf(cause)}`, {
      cause,
    });
    this.sent = sent;
  }
}

/** The bytes of an answer; a cut one is an error, never an end. */
async function* received(
  answer: IncomingMessage,
  address: ConsulAddress,
  signal: AbortSignal,
  alive: () => void,
): AsyncGenerator<Buffer, void, void> {
  try {
    alive();
    for await (const chunk of answer) {
      alive();
      yield chunk as Buffer;
    }
    if (!answer.complete) throw new Error('the answer was cut off');
  } catch (error) {
    throw signal.aborted ? signal.reason : new ConnectionFailure(error, address, true);
  }
}

async function textOf(chunks: AsyncIterable<Buffer>, what: string): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    length += chunk.length;
    if (length > maxTextBytes) throw new ProtocolError(`Cannot ${what}: the answer has no end`);
  }
  return Buffer.concat(parts).toString('utf8');
}

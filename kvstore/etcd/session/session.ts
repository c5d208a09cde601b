import { fields } from '../../../runtime/log/index.ts';
import { linkedController } from '../../../runtime/tasks/index.ts';
import { TlsSource } from '../../../runtime/tls/index.ts';
import {
  ClosedError,
  type KvStoreError,
  PermissionDeniedError,
  ProtocolError,
  type StoreHealth,
  StoreReplacedError,
  UnavailableError,
} from '../../contract/index.ts';
import { type Method, type ResponseHeader, decode, encodeFrame, methods } from '../wire/index.ts';
import type { Room } from '../http2/index.ts';
import type { CallStream } from './call-stream.ts';
import { Connection } from './connection.ts';
import { Dialer, isOfTrust } from './dialer.ts';
import { type Endpoint, parseEndpoint } from './endpoint.ts';
import { Leaderless } from './leaderless.ts';
import { RequestLimiter } from './limiter.ts';
import type { EtcdSessionOptions } from './options.ts';
import { GrpcError, NotSentError, isForAnother, isStaleToken, storeError } from './store-errors.ts';
import { readOnlyMessage } from './unary.ts';

/** What every answer of etcd has. */
interface Answer {
  readonly header: ResponseHeader | undefined;
}

export interface CallSettings {
  /** Operation and object, for messages: `read cilium/state/…`. */
  readonly what: string;
  readonly signal?: AbortSignal;
  /** A read may be repeated when its connection is lost in the middle; a write only when it was never sent. */
  readonly repeatable?: boolean;
  /** Of a read in the past. */
  readonly revision?: number;
  readonly timeoutMs?: number;
  /** Neither waits for the limits nor counts for them: what must not be late. */
  readonly unlimited?: boolean;
  /** Of a call that etcd answers without a header. */
  readonly headless?: boolean;
}

const callTimeoutMs = 10_000;
const repeatAfterMs = 50;

/** Keeps one connection to one of the endpoints, as long as somebody needs it, and makes calls over it. */
export class EtcdSession implements AsyncDisposable {
  readonly #options: EtcdSessionOptions;
  #password: string | undefined;
  readonly #dialer: Dialer;
  readonly #limiter: RequestLimiter;
  readonly #leaderless: Leaderless;
  readonly #closing = new AbortController();
  #connection: Connection | undefined;
  #dialing: Promise<void> | undefined;
  readonly #waiting = new Set<() => void>();
  #lastError: UnavailableError | undefined;
  #connections = 0;
  #storeId: string | undefined;
  #revision = 0;
  #lastContactMs: number | undefined;
  #lostSinceMs: number | undefined;
  #replaced: StoreReplacedError | undefined;

  constructor(options: EtcdSessionOptions) {
    if (options.endpoints.length === 0) throw new RangeError('No endpoint given');
    const tls = options.tls ?? {};
    const secure = tls.trustedCaFile !== undefined || tls.certFile !== undefined || tls.insecureSkipVerify === true;
    this.#options = options;
    this.#password = options.password;
    this.#dialer = new Dialer({
      endpoints: options.endpoints.map((text) => parseEndpoint(text, secure)),
      tls: new TlsSource(tls, options),
      lookup: options.lookup,
      clock: options.clock,
      log: options.log,
      timeoutMs: options.dialTimeoutMs ?? 5000,
      random: options.random ?? Math.random,
    });
    this.#limiter = new RequestLimiter(options.clock, options.limits);
    this.#leaderless = new Leaderless(options.clock, options.endpoints.length);
  }

  get endpoint(): Endpoint {
    return this.#connection?.endpoint ?? this.#dialer.endpoint;
  }

  health(): StoreHealth {
    const connected = this.#connection !== undefined;
    const error = this.#replaced ?? (connected ? undefined : this.#lastError);
    return {
      connected,
      revision: this.#revision,
      endpoint: this.endpoint.url,
      reconnections: Math.max(0, this.#connections - 1),
      ...(this.#storeId === undefined ? {} : { storeId: this.#storeId }),
      ...(this.#lastContactMs === undefined ? {} : { lastContactMs: this.#lastContactMs }),
      ...(error ? { error: error.message } : {}),
      ...(error && isOfTrust(error) ? { distrusted: true } : {}),
      ...(connected || this.#lostSinceMs === undefined ? {} : { lostSinceMs: this.#lostSinceMs }),
    };
  }

  /** The connection that is up, or the next one. @throws the signal's reason, or {@link ClosedError}. */
  async connection(signal: AbortSignal): Promise<Connection> {
    for (;;) {
      signal.throwIfAborted();
      this.#throwIfUnusable();
      if (this.#connection?.usable) return this.#connection;
      await this.#nextConnection(signal);
    }
  }

  /** Calls and gives the answer. @throws errors of the contract */
  async call<In, Out extends Answer>(
    method: Method<unknown, In, Out, never>,
    request: In,
    settings: CallSettings,
  ): Promise<Out> {
    using deadline = this.deadline(settings);
    const { signal } = deadline;
    using _permit = settings.unlimited === true ? undefined : await this.permit(signal);
    for (let last: UnavailableError | undefined; ;) {
      try {
        if (last) await this.#options.clock.sleep(repeatAfterMs, signal);
        const connection = await this.#reached(settings, signal);
        return await this.callOn(connection, method, request, { ...settings, signal });
      } catch (error) {
        if (signal.aborted) throw settings.signal?.aborted ? signal.reason : withAnswer(signal.reason, last);
        const again =
          error instanceof NotSentError || (settings.repeatable === true && error instanceof UnavailableError);
        if (!again) throw error;
        last = error;
      }
    }
  }

  /** The connection for a call. Who is given minutes to answer is not given minutes to be there. */
  async #reached({ timeoutMs, ...settings }: CallSettings, signal: AbortSignal): Promise<Connection> {
    if (timeoutMs === undefined) return await this.connection(signal);
    using deadline = this.deadline({ ...settings, signal });
    return await this.connection(deadline.signal);
  }

  /** A signal that aborts with the given one, or when the time of a call is over. */
  deadline(settings: CallSettings): { readonly signal: AbortSignal } & Disposable {
    const timeoutMs = settings.timeoutMs ?? this.#options.callTimeoutMs ?? callTimeoutMs;
    const controller = linkedController(settings.signal);
    const timer = this.#options.clock.timer(timeoutMs, () => {
      const cause = this.#connection ? undefined : this.#lastError;
      const held = this.#limiter.waiting > 0 ? `, ${this.#limiter.waiting} requests wait for the limit on them` : '';
      const message = `Cannot ${settings.what}: no answer within ${timeoutMs} ms${held}`;
      controller.abort(new UnavailableError(cause ? `${message}: ${cause.message}` : message, { cause }));
    });
    return {
      signal: controller.signal,
      [Symbol.dispose]: () => {
        timer[Symbol.dispose]();
        controller[Symbol.dispose]();
      },
    };
  }

  /** Waits until one more request may be made; to be disposed of when it was answered. @throws the signal's reason */
  permit(signal: AbortSignal): Promise<Disposable> {
    return this.#limiter.acquire(signal);
  }

  /** The owner has started up: from now on the limit for steady times holds. */
  bootstrapped(): void {
    this.#limiter.bootstrapped();
  }

  /** Calls over this very connection, without a deadline of its own. @throws errors of the contract */
  async callOn<In, Out extends Answer>(
    connection: Connection,
    method: Method<unknown, In, Out, never>,
    request: In,
    settings: CallSettings,
  ): Promise<Out> {
    const frame = encodeFrame(method.request, request);
    for (let attempt = 1; ; attempt++) {
      let token: Promise<string> | undefined;
      try {
        const call = await this.open(connection, method.path);
        token = connection.token;
        const answer = decode(method.response, await ended(call, frame, settings.signal));
        if (answer.header || settings.headless !== true) this.observe(answer.header, settings.what);
        else this.contact();
        return answer;
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error;
        this.contact();
        if (isStaleToken(error) && attempt === 1 && this.#options.username !== undefined) {
          if (connection.token === token) connection.token = undefined;
        } else throw this.#judged(connection, storeError(error, settings.what, settings.revision));
      }
    }
  }

  /** Opens a call over this connection, logged in where that is asked for. Its answer is put into `room`. */
  async open(
    connection: Connection,
    path: string,
    metadata: Readonly<Record<string, string>> = {},
    room?: Room,
  ): Promise<CallStream> {
    this.#throwIfUnusable();
    const { username } = this.#options;
    if (username === undefined) return connection.open(path, metadata, room);
    connection.token ??= this.#logIn(connection, username);
    const login = connection.token;
    try {
      return connection.open(path, { ...metadata, token: await login }, room);
    } catch (error) {
      if (connection.token === login) connection.token = undefined;
      throw error;
    }
  }

  /**
   * Takes note of an answer: which store, at which revision.
   * @throws {StoreReplacedError} when the id is pinned and another one answers
   */
  observe(header: ResponseHeader | undefined, what: string): ResponseHeader {
    if (!header) throw new ProtocolError(`Cannot ${what}: the answer has no header`);
    this.contact();
    const id = header.clusterId.toString(16);
    if (this.#storeId !== undefined && this.#storeId !== id) {
      if (this.#options.pinStoreId) {
        this.#replaced ??= new StoreReplacedError(this.#storeId, id);
        throw this.#replaced;
      }
      this.#revision = 0;
    }
    this.#storeId = id;
    this.#revision = Math.max(this.#revision, header.revision);
    return header;
  }

  /** What a refused call over a connection means; where it was the token that is stale, the next attempt logs in again. */
  refusal(connection: Connection, error: GrpcError, what: string, revision?: number): KvStoreError {
    this.contact();
    if (!isStaleToken(error) || this.#options.username === undefined)
      return this.#judged(connection, storeError(error, what, revision));
    connection.token = undefined;
    return new UnavailableError(`Cannot ${what}: the log-in has expired`, { cause: error });
  }

  /** The store has shown a sign of life. */
  contact(): void {
    this.#lastContactMs = this.#options.clock.now();
    this.#dialer.healthy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const error = new ClosedError('The store was closed');
    this.#closing.abort(error);
    this.#connection?.close(error);
    await this.#dialing;
  }

  async #logIn(connection: Connection, name: string): Promise<string> {
    const password = this.#password ?? '';
    try {
      return await this.#authenticate(connection, name, password);
    } catch (error) {
      if (!(error instanceof PermissionDeniedError)) throw error;
      // It may have been changed, there and in the file, since it was read.
      const now = await this.#options.rereadPassword?.();
      if (now === undefined || now === password) throw error;
      const token = await this.#authenticate(connection, name, now);
      this.#password = now;
      return token;
    }
  }

  async #authenticate(connection: Connection, name: string, password: string): Promise<string> {
    const frame = encodeFrame(methods.authenticate.request, { name, password });
    const call = connection.open(methods.authenticate.path, {});
    try {
      return decode(methods.authenticate.response, await ended(call, frame, this.#closing.signal)).token;
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      const failure = storeError(error, 'log in');
      throw failure instanceof UnavailableError
        ? failure
        : new PermissionDeniedError(failure.message, { cause: error });
    }
  }

  /** A member that is cut off from the others, or learns only, answers all the same, and is left for another endpoint. */
  #judged(connection: Connection, error: KvStoreError): KvStoreError {
    if (isForAnother(error) && this.#leaderless.said(connection)) connection.close(error);
    if (error instanceof PermissionDeniedError) void this.#shownAnew(connection, error);
    return error;
  }

  /** Who we are is settled when a connection begins: after a refusal, a certificate that has come since is shown by another one. */
  async #shownAnew(connection: Connection, error: KvStoreError): Promise<void> {
    const { material } = connection;
    if (!material || !connection.usable || !(await this.#dialer.isReplaced(material).catch(() => false))) return;
    connection.close(new UnavailableError('Our certificate was replaced', { cause: error }));
  }

  #throwIfUnusable(): void {
    this.#closing.signal.throwIfAborted();
    if (this.#replaced) throw this.#replaced;
  }

  async #nextConnection(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => reject(signal.reason);
    this.#waiting.add(resolve);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#dialing ??= this.#dial();
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#waiting.delete(resolve);
    }
  }

  /** Runs while somebody waits for a connection. */
  async #dial(): Promise<void> {
    using attempt = linkedController(this.#closing.signal);
    try {
      const { endpoint, dialed } = await this.#dialer.connect(attempt.signal, (error) => {
        this.#lastError = error;
        this.#lostSinceMs ??= this.#options.clock.now();
        if (this.#waiting.size === 0) attempt.abort(error);
      });
      const { clock, log, pingIntervalMs = 6000, pingTimeoutMs = 3000 } = this.#options;
      this.#connections += 1;
      this.#lastError = undefined;
      this.#lostSinceMs = undefined;
      this.#connection = new Connection(endpoint, dialed, {
        clock,
        keepAlive: { intervalMs: pingIntervalMs, timeoutMs: pingTimeoutMs },
        onLost: (connection, error) => this.#lose(connection, error),
      });
      log.debug('Connected to store', { [fields.endpoint]: endpoint.url });
      for (const done of this.#waiting) done();
    } catch {
      // Closed, or given up since nobody waited: whoever has come meanwhile looks again.
      for (const done of this.#waiting) done();
    } finally {
      this.#dialing = undefined;
    }
  }

  #lose(connection: Connection, error: unknown): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    if (this.#closing.signal.aborted) return;
    this.#dialer.failed();
    this.#lostSinceMs ??= this.#options.clock.now();
    this.#lastError =
      error instanceof UnavailableError
        ? error
        : new UnavailableError(`Connection to ${connection.endpoint.url} was lost`, { cause: error });
    this.#options.log.debug('Connection to store lost', {
      [fields.endpoint]: connection.endpoint.url,
      [fields.error]: error,
    });
  }
}

/** Where the time of a call was over, what the server has said meanwhile belongs to the error. */
function withAnswer(reason: unknown, last: UnavailableError | undefined): unknown {
  if (!(reason instanceof UnavailableError) || reason.cause !== undefined || !(last?.cause instanceof GrpcError))
    return reason;
  return new UnavailableError(`${reason.message}: ${last.cause.message}`, { cause: last });
}

async function ended(call: CallStream, frame: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const onAbort = (): void => call.fail(signal?.reason);
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    call.end(frame);
    return await readOnlyMessage(call);
  } catch (error) {
    call.fail(error);
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

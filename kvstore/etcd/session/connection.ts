import type { Clock } from '../../../runtime/clock/index.ts';
import type { TlsMaterial } from '../../../runtime/tls/index.ts';
import { UnavailableError } from '../../contract/index.ts';
import { type Room, encodeHeaders } from '../http2/index.ts';
import { CallStream } from './call-stream.ts';
import type { Dialed } from './dial.ts';
import type { Endpoint } from './endpoint.ts';
import { KeepAlive, type KeepAliveOptions } from './keep-alive.ts';
import { NotSentError } from './store-errors.ts';

const maxKnownHeaders = 32;

/** One HTTP/2 connection to one endpoint. Everything that must come from one and the same server goes over one of these. */
export class Connection {
  readonly endpoint: Endpoint;
  /** The token of a log-in over this connection. */
  token: Promise<string> | undefined;
  readonly #dialed: Dialed;
  readonly #keepAlive: KeepAlive;
  readonly #calls = new Set<CallStream>();
  /** Headers of calls as they go out, by path and metadata: a store is asked the same few things again and again. */
  readonly #headers = new Map<string, Buffer>();
  readonly #onLost: (connection: Connection, error: unknown) => void;
  #lost = false;

  constructor(
    endpoint: Endpoint,
    dialed: Dialed,
    options: {
      readonly clock: Clock;
      readonly keepAlive: KeepAliveOptions;
      /** Called once, when no new call can be made here. */
      readonly onLost: (connection: Connection, error: unknown) => void;
    },
  ) {
    this.endpoint = endpoint;
    this.#dialed = dialed;
    this.#onLost = options.onLost;
    this.#keepAlive = new KeepAlive(dialed, options.clock, options.keepAlive, () =>
      this.close(new UnavailableError(`Store at ${endpoint.url} does not answer to PING`)),
    );
    dialed.http2.events = {
      ready: () => undefined,
      // Calls that are open may still end well; new ones need another connection.
      goaway: (code) => this.#lose(new UnavailableError(`Store ended the connection (code ${code})`)),
      closed: (cause) => {
        this.#keepAlive[Symbol.dispose]();
        this.#lose(new UnavailableError(`Connection to ${endpoint.url} was lost`, { cause }));
      },
    };
  }

  /** The certificates that it began with, by which the store knows us. */
  get material(): TlsMaterial | undefined {
    return this.#dialed.material;
  }

  /** False once calls need another connection. */
  get usable(): boolean {
    return !this.#lost;
  }

  /** Opens a call; its answer is put into `room`. @throws {NotSentError} when the connection is no longer usable. */
  open(path: string, metadata: Readonly<Record<string, string>>, room?: Room): CallStream {
    const { http2 } = this.#dialed;
    if (this.#lost || !http2.usable) throw new NotSentError(`Connection to ${this.endpoint.url} is closed`);
    const call: CallStream = new CallStream(
      (events) => http2.open(this.#headersOf(path, metadata), events, room),
      () => {
        this.#calls.delete(call);
        this.#keepAlive.callClosed();
      },
    );
    this.#calls.add(call);
    this.#keepAlive.callOpened();
    return call;
  }

  /** Ends the connection and all its calls at once. */
  close(error: unknown): void {
    this.#keepAlive[Symbol.dispose]();
    for (const call of this.#calls) call.fail(error);
    this.#lose(error);
    this.#dialed.http2.destroy(error);
  }

  #headersOf(path: string, metadata: Readonly<Record<string, string>>): Buffer {
    const name = [path, ...Object.entries(metadata).flat()].join('\n');
    const known = this.#headers.get(name);
    if (known) return known;
    // Tokens change.
    if (this.#headers.size >= maxKnownHeaders) this.#headers.clear();
    const authority = this.endpoint.url.slice(this.endpoint.url.indexOf('//') + 2);
    const headers = encodeHeaders([
      [':method', 'POST'],
      [':scheme', this.endpoint.secure ? 'https' : 'http'],
      [':path', path],
      [':authority', authority],
      ['te', 'trailers'],
      ['content-type', 'application/grpc'],
      ['user-agent', 'isthmus'],
      ...Object.entries(metadata),
    ]);
    this.#headers.set(name, headers);
    return headers;
  }

  #lose(error: unknown): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#onLost(this, error);
  }
}

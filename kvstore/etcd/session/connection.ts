import type { ClientHttp2Stream } from 'node:http2';
import type { Clock } from '../../../runtime/clock/index.ts';
import { UnavailableError } from '../../contract/index.ts';
import { CallStream } from './call-stream.ts';
import type { Dialed } from './dial.ts';
import type { Endpoint } from './endpoint.ts';
import { KeepAlive, type KeepAliveOptions } from './keep-alive.ts';
import { NotSentError } from './store-errors.ts';

/** One HTTP/2 connection to one endpoint. Everything that must come from one and the same server goes over one of these. */
export class Connection {
  readonly endpoint: Endpoint;
  /** The token of a log-in over this connection. */
  token: Promise<string> | undefined;
  readonly #dialed: Dialed;
  readonly #keepAlive: KeepAlive;
  readonly #calls = new Set<CallStream>();
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
    const { http2 } = dialed;
    http2.on('error', (error) => this.#lose(error));
    // An error of TLS leaves the session as it is, and deaf.
    dialed.socket.on('error', (cause) =>
      this.close(new UnavailableError(`Connection to ${endpoint.url} was lost`, { cause })),
    );
    // Calls that are open may still end well; new ones need another connection.
    http2.on('goaway', (code: number) => this.#lose(new UnavailableError(`Store ended the connection (code ${code})`)));
    http2.on('close', () => {
      this.#keepAlive[Symbol.dispose]();
      this.#lose(new UnavailableError(`Connection to ${endpoint.url} was closed`));
    });
  }

  /** False once calls need another connection. */
  get usable(): boolean {
    return !this.#lost;
  }

  /** Opens a call. @throws {NotSentError} when the connection is no longer usable. */
  open(path: string, metadata: Readonly<Record<string, string>>): CallStream {
    const notSent = (cause?: unknown): NotSentError =>
      new NotSentError(`Connection to ${this.endpoint.url} is closed`, { cause });
    if (this.#lost) throw notSent();
    let stream: ClientHttp2Stream;
    try {
      stream = this.#dialed.http2.request({
        ':method': 'POST',
        ':path': path,
        te: 'trailers',
        'content-type': 'application/grpc',
        'user-agent': 'isthmus',
        ...metadata,
      });
    } catch (error) {
      throw notSent(error);
    }
    const call = new CallStream(stream);
    this.#calls.add(call);
    this.#keepAlive.callOpened();
    stream.once('close', () => {
      this.#calls.delete(call);
      this.#keepAlive.callClosed();
    });
    return call;
  }

  /** Ends the connection and all its calls at once. */
  close(error: unknown): void {
    this.#keepAlive[Symbol.dispose]();
    for (const call of this.#calls) call.fail(error);
    this.#lose(error);
    this.#dialed.http2.destroy();
    this.#dialed.socket.destroy();
  }

  #lose(error: unknown): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#onLost(this, error);
  }
}

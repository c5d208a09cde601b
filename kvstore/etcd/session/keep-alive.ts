import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../../runtime/clock/index.ts';
import type { Http2Connection } from '../http2/index.ts';

export interface KeepAliveOptions {
  /** At least 5.5 s: etcd ends connections that ping more often. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/**
 * Finds out that a peer hangs: sends a PING every so often while calls are open (etcd forbids it without), and reports
 * when for `timeoutMs` neither its answer nor any other byte has come.
 */
export class KeepAlive implements Disposable {
  readonly #http2: Http2Connection;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #options: KeepAliveOptions;
  readonly #onHang: () => void;
  #openCalls = 0;
  #lastPingMs: number;
  #timer: Timer | undefined;
  #disposed = false;

  constructor(
    connection: { readonly http2: Http2Connection; readonly socket: Socket },
    clock: Clock,
    options: KeepAliveOptions,
    onHang: () => void,
  ) {
    this.#http2 = connection.http2;
    this.#socket = connection.socket;
    this.#clock = clock;
    this.#options = options;
    this.#onHang = onHang;
    this.#lastPingMs = clock.monotonicMs();
  }

  callOpened(): void {
    this.#openCalls += 1;
    if (this.#timer || this.#disposed) return;
    // After a quiet spell the first call finds out at once whether anybody is there.
    const quietMs = this.#clock.monotonicMs() - this.#lastPingMs;
    if (quietMs >= this.#options.intervalMs) this.#ping();
    else this.#schedule();
  }

  callClosed(): void {
    this.#openCalls -= 1;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
  }

  #schedule(): void {
    this.#timer = this.#clock.timer(this.#options.intervalMs, () => {
      this.#timer = undefined;
      if (this.#openCalls > 0 && !this.#disposed) this.#ping();
    });
  }

  #ping(): void {
    this.#lastPingMs = this.#clock.monotonicMs();
    let answered = false;
    this.#http2.ping(() => {
      if (this.#disposed) return;
      answered = true;
      this.#timer?.[Symbol.dispose]();
      this.#schedule();
    });
    this.#awaitAnswer(() => answered, this.#socket.bytesRead);
  }

  #awaitAnswer(answered: () => boolean, bytesBefore: number): void {
    this.#timer = this.#clock.timer(this.#options.timeoutMs, () => {
      // If it was us who slept, the answer waits in the socket: let it be read first.
      setImmediate(() =>
        setImmediate(() => {
          if (answered() || this.#disposed) return;
          // A long answer in front of the PING's is a sign of life, too.
          if (this.#socket.bytesRead > bytesBefore) this.#awaitAnswer(answered, this.#socket.bytesRead);
          else this.#onHang();
        }),
      );
    });
  }
}

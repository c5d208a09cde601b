import { type LookupFunction, type Socket, connect as connectTcp } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../../runtime/clock/index.ts';
import { type TlsSource, connectTls } from '../../../runtime/tls/index.ts';
import type { ConsulAddress } from './address.ts';

const dialTimeoutMs = 5000;

/** Opens connections, and knows what an error of one of them means. */
export class Connector {
  readonly #tls: TlsSource;
  readonly #clock: Clock;
  readonly #byName: { readonly lookup?: LookupFunction };
  /** Under TLS 1.3 a server says only after the handshake that it does not like our certificate. */
  readonly #explanations = new WeakMap<Duplex, (error: unknown) => unknown>();

  /**
   * @param tls files are read anew for each connection, so that rotated ones take effect
   * @param lookup names are looked up anew for each connection, too
   */
  constructor(tls: TlsSource, clock: Clock, lookup?: LookupFunction) {
    this.#tls = tls;
    this.#clock = clock;
    this.#byName = lookup ? { lookup } : {};
  }

  async connect(address: ConsulAddress): Promise<Socket> {
    const giveUp = new AbortController();
    using _timer = this.#clock.timer(dialTimeoutMs, () =>
      giveUp.abort(new Error(`no connection within ${dialTimeoutMs} ms`)),
    );
    const socket = await this.#open(address, giveUp.signal);
    socket.setNoDelay(true);
    return socket;
  }

  /** What an error of the connection means. */
  explain(socket: Duplex | null, error: unknown): unknown {
    return (socket && this.#explanations.get(socket))?.(error) ?? error;
  }

  async #open({ host, port, socketPath, secure }: ConsulAddress, signal: AbortSignal): Promise<Socket> {
    const target = { host, port, ...this.#byName };
    if (!secure) return await connected(connectTcp(socketPath === undefined ? target : { path: socketPath }), signal);
    const { socket, explain } = await connectTls(target, await this.#tls.read(), this.#clock.now(), signal);
    this.#explanations.set(socket, explain);
    return socket;
  }
}

async function connected(socket: Socket, signal: AbortSignal): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  socket.once('connect', () => resolve(undefined));
  socket.once('error', reject);
  try {
    await promise;
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  socket.off('error', reject);
  return socket;
}

import { type LookupFunction, type Socket, connect as connectTcp } from 'node:net';
import type { Clock } from '../../../runtime/clock/index.ts';
import { type TlsMaterial, type TlsSource, connectTls } from '../../../runtime/tls/index.ts';
import { Http2Connection, Intake } from '../http2/index.ts';
import type { Endpoint } from './endpoint.ts';

export interface DialDependencies {
  /** Certificates, read again for each connection, so that rotated ones take effect. */
  readonly tls: TlsSource;
  readonly clock: Clock;
  /** Turns a name into addresses, anew for each connection; the system does unless given. */
  readonly lookup?: LookupFunction | undefined;
}

export interface Dialed {
  readonly http2: Http2Connection;
  readonly socket: Socket;
  /** The certificates that it was made with; none without TLS. */
  readonly material: TlsMaterial | undefined;
}

interface Opened {
  readonly socket: Socket;
  readonly intake: Intake;
  readonly material?: TlsMaterial;
  /** What an error of this connection means. */
  readonly explain: (error: unknown) => unknown;
}

/**
 * Connects and waits for the server's SETTINGS: only then somebody speaks HTTP/2 at the other end (a stopped process
 * still accepts connections). Aborting `signal` closes what was opened.
 */
export async function dial(endpoint: Endpoint, deps: DialDependencies, signal: AbortSignal): Promise<Dialed> {
  signal.throwIfAborted();
  const { socket, intake, material, explain } = await openSocket(endpoint, deps, signal);
  socket.setNoDelay(true);
  let http2: Http2Connection | undefined;
  let ended: { readonly error: unknown } | undefined;
  try {
    await settled(signal, (resolve, reject) => {
      const end = (error: unknown): void => {
        ended ??= { error };
        reject(error);
      };
      http2 = new Http2Connection(socket, intake, {
        ready: () => resolve(undefined),
        goaway: (code) => end(new Error(`The store ended the connection (code ${code})`)),
        closed: end,
      });
    });
    // Its end may have come together with its beginning.
    if (ended) throw ended.error;
    if (!http2) throw new Error('No connection was made');
    return { http2, socket, material };
  } catch (error) {
    http2?.destroy(error);
    socket.destroy();
    // Under TLS 1.3 a server says only now that it does not like our certificate.
    throw explain(error);
  }
}

async function openSocket(endpoint: Endpoint, deps: DialDependencies, signal: AbortSignal): Promise<Opened> {
  const { host, port, secure } = endpoint;
  const { lookup } = deps;
  const intake = new Intake();
  const target = { host, port, onread: intake.onread, ...(lookup ? { lookup } : {}) };
  if (secure) {
    const material = await deps.tls.read();
    const { socket, explain } = await connectTls({ ...target, protocols: ['h2'] }, material, deps.clock.now(), signal);
    return { socket, intake, material, explain };
  }
  const socket = connectTcp(target);
  try {
    await settled(signal, (resolve, reject) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('Connection closed while it was being made')));
    });
    return { socket, intake, explain: (error) => error };
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  }
}

/** A promise that the signal can end early. */
async function settled(
  signal: AbortSignal,
  start: (resolve: (value: undefined) => void, reject: (error: unknown) => void) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    start(resolve, reject);
    await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { type LookupFunction, type Socket, connect as connectTcp } from 'node:net';
import type { Clock } from '../../../runtime/clock/index.ts';
import { type TlsSource, connectTls } from '../../../runtime/tls/index.ts';
import type { Endpoint } from './endpoint.ts';

/** 16 MiB for each stream and for the connection: the default of 64 KiB gives 1.2 MB/s at 50 ms. */
const windowBytes = 16 << 20;

export interface DialDependencies {
  /** Certificates, read again for each connection, so that rotated ones take effect. */
  readonly tls: TlsSource;
  readonly clock: Clock;
  /** Turns a name into addresses, anew for each connection; the system does unless given. */
  readonly lookup?: LookupFunction | undefined;
}

export interface Dialed {
  readonly http2: ClientHttp2Session;
  readonly socket: Socket;
}

interface Opened {
  readonly socket: Socket;
  /** What an error of this connection means. */
  readonly explain: (error: unknown) => unknown;
}

/**
 * Connects and waits for the server's SETTINGS: only then somebody speaks HTTP/2 at the other end (a stopped process
 * still accepts connections). Aborting `signal` closes what was opened.
 */
export async function dial(endpoint: Endpoint, deps: DialDependencies, signal: AbortSignal): Promise<Dialed> {
  signal.throwIfAborted();
  const { socket, explain } = await openSocket(endpoint, deps, signal);
  socket.setNoDelay(true);
  const http2 = connectHttp2(endpoint.url, {
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: windowBytes },
    maxSessionMemory: 256,
  });
  try {
    await settled(signal, (resolve, reject) => {
      http2.once('remoteSettings', () => resolve(undefined));
      http2.once('error', reject);
      // An alert of TLS reaches the socket, and the session only once the socket is gone.
      socket.once('error', reject);
      http2.once('close', () => reject(new Error('Connection closed before the server said anything')));
    });
    http2.setLocalWindowSize(windowBytes);
    return { http2, socket };
  } catch (error) {
    http2.on('error', () => undefined);
    http2.destroy();
    socket.destroy();
    // Under TLS 1.3 a server says only now that it does not like our certificate.
    throw explain(error);
  }
}

async function openSocket(endpoint: Endpoint, deps: DialDependencies, signal: AbortSignal): Promise<Opened> {
  const { host, port, secure } = endpoint;
  const { lookup } = deps;
  const target = { host, port, ...(lookup ? { lookup } : {}) };
  if (secure)
    return await connectTls({ ...target, protocols: ['h2'] }, await deps.tls.read(), deps.clock.now(), signal);
  const socket = connectTcp(target);
  try {
    await settled(signal, (resolve, reject) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('Connection closed while it was being made')));
    });
    return { socket, explain: (error) => error };
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

import { readFile } from 'node:fs/promises';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { type Socket, connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Endpoint } from './endpoint.ts';

/** How a server proves who it is, and we who we are. Files are read again for every connection. */
export interface TlsFiles {
  /** The system's authorities unless given. */
  readonly trustedCaFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Accepts any certificate. */
  readonly insecureSkipVerify?: boolean;
  /** The name that the certificate must have, where it is not the endpoint's host. */
  readonly serverName?: string;
}

/** 16 MiB for each stream and for the connection: the default of 64 KiB gives 1.2 MB/s at 50 ms. */
const windowBytes = 16 << 20;

export interface Dialed {
  readonly http2: ClientHttp2Session;
  readonly socket: Socket;
}

/**
 * Connects and waits for the server's SETTINGS: only then somebody speaks HTTP/2 at the other end (a stopped process
 * still accepts connections). Aborting `signal` closes what was opened.
 */
export async function dial(endpoint: Endpoint, tls: TlsFiles, signal: AbortSignal): Promise<Dialed> {
  signal.throwIfAborted();
  const socket = await openSocket(endpoint, tls, signal);
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
      http2.once('close', () => reject(new Error('Connection closed before the server said anything')));
    });
    http2.setLocalWindowSize(windowBytes);
    return { http2, socket };
  } catch (error) {
    http2.on('error', () => undefined);
    http2.destroy();
    socket.destroy();
    throw error;
  }
}

async function openSocket(endpoint: Endpoint, tls: TlsFiles, signal: AbortSignal): Promise<Socket> {
  const { host, port } = endpoint;
  const files = endpoint.secure ? await readTlsFiles(tls) : undefined;
  signal.throwIfAborted();
  const socket = files
    ? connectTls({
        host,
        port,
        ...files,
        minVersion: 'TLSv1.2',
        ALPNProtocols: ['h2'],
        rejectUnauthorized: tls.insecureSkipVerify !== true,
        ...(tls.serverName ? { servername: tls.serverName } : isIP(host) ? {} : { servername: host }),
      })
    : connectTcp({ host, port });
  try {
    await settled(signal, (resolve, reject) => {
      socket.once(files ? 'secureConnect' : 'connect', () => resolve(undefined));
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('Connection closed while it was being made')));
    });
    return socket;
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  }
}

async function readTlsFiles(tls: TlsFiles): Promise<{ ca?: Buffer; cert?: Buffer; key?: Buffer }> {
  const read = async (path: string | undefined): Promise<Buffer | undefined> =>
    path === undefined ? undefined : await readFile(path);
  const [ca, cert, key] = await Promise.all([read(tls.trustedCaFile), read(tls.certFile), read(tls.keyFile)]);
  return { ...(ca ? { ca } : {}), ...(cert ? { cert } : {}), ...(key ? { key } : {}) };
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

import { constants } from 'node:crypto';
import { type SecureContextOptions, type TLSSocket, type Server as TlsServer, createServer } from 'node:tls';
import type { Clock } from '../../../runtime/clock/index.ts';
import type { Logger } from '../../../runtime/log/index.ts';
import {
  type CertificateFacts,
  type TlsMaterial,
  TlsFileError,
  TlsSource,
  certificatesOf,
  factsOf,
  peerError,
  secureContextOf,
} from '../../../runtime/tls/index.ts';
import { Seldom } from './seldom.ts';

/** Files of a server, named as etcd names them. They are followed: new connections see new files, old ones stay. */
export interface ServeTlsOptions {
  /** The certificate that clients see, followed by intermediate ones if there are any. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Authorities of clients. */
  readonly trustedCaFile?: string;
  /** Clients must present a certificate of one of the authorities. */
  readonly clientCertAuth?: boolean;
}

export interface SecureListenerOptions extends ServeTlsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** PEM of the authorities of clients, where they do not come from `trustedCaFile`. */
  readonly authorities?: () => readonly string[];
}

/** A TCP port that speaks TLS. Disposing ends the following of its files, not the port. */
export interface SecureListener extends AsyncDisposable {
  readonly server: TlsServer;
  /** What clients are shown at present. */
  readonly certificate: CertificateFacts | undefined;
  /** Takes note that the authorities have changed. */
  refresh(): void;
}

/**
 * Makes the listener once the files were read and found good. Every socket that it gives has shown a certificate of a
 * trusted authority, if it must. Sessions are not resumed: a client proves anew who it is with every connection.
 * @throws {TlsFileError}
 */
export async function secureListener(
  options: SecureListenerOptions,
  accept: (socket: TLSSocket) => void,
): Promise<SecureListener> {
  const { certFile, keyFile, trustedCaFile, clientCertAuth = false, clock, log } = options;
  const source = new TlsSource(
    { certFile, keyFile, ...(trustedCaFile === undefined ? {} : { trustedCaFile }) },
    { clock, log },
  );
  let material = await source.read();
  if (clientCertAuth && trustedCaFile === undefined && options.authorities === undefined)
    throw new TlsFileError('trusted-ca-file', 'is missing: clients need an authority for their certificates');
  /** What clients are measured by. */
  const trusted = (): TlsMaterial => {
    if (!options.authorities) return material;
    const ca = Buffer.from(options.authorities().join('\n'));
    return { ...material, ca, authorities: certificatesOf(ca).map(factsOf) };
  };
  const context = (): SecureContextOptions => ({
    ...secureContextOf(clientCertAuth ? trusted() : { ...material, ca: undefined }),
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
  const server = createServer({
    ...context(),
    ALPNProtocols: ['h2', 'http/1.1'],
    requestCert: clientCertAuth,
    // Looked at below, while there is still something to say about it.
    rejectUnauthorized: false,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  });
  const refused = new Seldom(clock);
  server.on('secureConnection', (socket) => {
    const peer = `${socket.remoteAddress}`;
    if (socket.authorized || !clientCertAuth) return accept(socket);
    const problem = peerError(socket, { peer, material: trusted(), nowMs: clock.now() });
    if (!problem) return accept(socket);
    socket.on('error', () => undefined);
    socket.destroy();
    refused.run(() => log.warn('An etcd client is refused', { error: problem }));
  });
  server.on('tlsClientError', (error) => log.debug('A TLS handshake of an etcd client failed', { error }));
  const ending = new AbortController();
  const following = follow(source, ending.signal, (found) => {
    if (found === material) return;
    material = found;
    server.setSecureContext(context());
  }).catch((error: unknown) => log.error('Certificate files are not followed any more', { error }));
  return {
    server,
    get certificate() {
      return material.certificate;
    },
    refresh: () => server.setSecureContext(context()),
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      await following;
    },
  };
}

async function follow(source: TlsSource, signal: AbortSignal, take: (material: TlsMaterial) => void): Promise<void> {
  for await (const material of source.follow(signal)) take(material);
}

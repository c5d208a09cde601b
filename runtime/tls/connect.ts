import { type LookupFunction, type OnReadOpts, isIP } from 'node:net';
import { type SecureContextOptions, type TLSSocket, connect } from 'node:tls';
import { type CertificateFacts, factsOf } from './certificate.ts';
import type { TlsMaterial } from './files.ts';
import { type PeerExpectation, explainTlsFailure, peerError } from './peer-error.ts';

export interface TlsTarget {
  /** Name or address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** What is spoken inside, as `['h2']`. */
  readonly protocols?: readonly string[];
  /** Turns the name into addresses; the system does unless given. */
  readonly lookup?: LookupFunction;
  /** Where what is read goes, in place of `data` events; it may come before the other end has proved who it is. */
  readonly onread?: OnReadOpts;
}

/** A connection whose other end has proved who it is. */
export interface SecureConnection {
  readonly socket: TLSSocket;
  readonly peer: CertificateFacts | undefined;
  /** What an error of this connection means: a server may refuse our certificate only after the handshake. */
  readonly explain: (error: unknown) => unknown;
}

/**
 * What both ends of TLS are made of: never below 1.2. Whoever stands in the file of those we trust is trusted, an
 * intermediate authority too, as by Go (etcd, Cilium): OpenSSL would want to see the one that has signed it.
 */
export function secureContextOf({ ca, cert, key }: TlsMaterial): SecureContextOptions {
  return {
    minVersion: 'TLSv1.2',
    ...(ca ? { ca, allowPartialTrustChain: true } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
  };
}

/**
 * Connects, and finds out whom with before anything is sent. Aborting `signal` closes what was opened.
 * @param nowMs wall time, for messages
 * @throws {TlsPeerError} and what the network says
 */
export async function connectTls(
  target: TlsTarget,
  material: TlsMaterial,
  nowMs: number,
  signal: AbortSignal,
): Promise<SecureConnection> {
  signal.throwIfAborted();
  const { host, port, protocols, lookup, onread } = target;
  const { insecureSkipVerify = false, serverName } = material.files;
  const expectation: PeerExpectation = {
    peer: `${host.includes(':') ? `[${host}]` : host}:${port}`,
    material,
    expectedName: serverName ?? host,
    nowMs,
  };
  const socket = connect({
    host,
    port,
    ...secureContextOf(material),
    ...(lookup ? { lookup } : {}),
    ...(onread ? { onread } : {}),
    ...(protocols ? { ALPNProtocols: [...protocols] } : {}),
    // Who is there is asked below, while the certificate is still there to be named.
    rejectUnauthorized: false,
    ...(serverName !== undefined ? { servername: serverName } : isIP(host) ? {} : { servername: host }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  socket.once('secureConnect', resolve);
  socket.once('error', reject);
  socket.once('close', () => reject(new Error('Connection closed while it was being made')));
  try {
    await promise;
    const problem = insecureSkipVerify ? undefined : peerError(socket, expectation);
    if (problem) throw problem;
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw explainTlsFailure(error, expectation, undefined);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  const certificate = socket.getPeerX509Certificate();
  const peer = certificate && factsOf(certificate);
  return { socket, peer, explain: (error) => explainTlsFailure(error, expectation, peer) };
}

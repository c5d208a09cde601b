import { request as httpRequest } from 'node:http';
import { linkedController } from '../../../runtime/tasks/index.ts';
import type { Clock } from '../../../runtime/clock/index.ts';
import { reasonOf } from '../../../runtime/files/index.ts';
import { TlsPeerError, certificatesOf, connectTls, factsOf } from '../../../runtime/tls/index.ts';
import { type Credentials, serverNameOf } from '../certificates/index.ts';

/** Where a peer is asked, and how both ends know each other. */
export interface PeerTarget {
  readonly cluster: string;
  /** `https://HOST:PORT` */
  readonly enrolment: string;
  /** Nothing is sent to anybody whose certificate is of another authority than these, PEM. */
  readonly authorities: string;
  readonly credentials?: Credentials | undefined;
}

/** A peer that has said no. `code` is its word for why. */
export class PeerRefusedError extends Error {
  override readonly name = 'PeerRefusedError';
  readonly code: string;

  constructor(cluster: string, code: string, message: string) {
    super(`${cluster} refuses: ${message}`);
    this.code = code;
  }
}

/** A peer that could not be asked. */
export class PeerUnreachableError extends Error {
  override readonly name = 'PeerUnreachableError';
  readonly code = 'PEER_UNREACHABLE';

  constructor(cluster: string, enrolment: string, cause: unknown) {
    super(`${cluster} cannot be reached at ${enrolment}: ${reasonOf(cause)}`, { cause });
  }
}

const patienceMs = 20_000;
const maxAnswerBytes = 256 * 1024;

/**
 * Asks a peer. The other end has to show a certificate of its authority for the cluster's own name, whatever its address
 * is, before a byte is sent.
 * @throws {PeerRefusedError} {@link PeerUnreachableError} {@link TlsPeerError}
 */
export async function askPeer(
  target: PeerTarget,
  route: string,
  body: unknown,
  clock: Clock,
  signal?: AbortSignal,
): Promise<unknown> {
  const { cluster, enrolment, authorities, credentials } = target;
  using asking = linkedController(signal);
  using _patience = clock.timer(patienceMs, () => asking.abort(new Error('there was no answer in 20 s')));
  const { hostname, port } = new URL(enrolment);
  const ca = Buffer.from(authorities);
  const [own] = credentials ? certificatesOf(Buffer.from(credentials.certificate)) : [];
  let answer: { readonly status: number; readonly text: string };
  try {
    const { socket, explain } = await connectTls(
      { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? 443 : Number(port) },
      {
        files: { serverName: serverNameOf(cluster) },
        ca,
        cert: credentials && Buffer.from(credentials.certificate),
        key: credentials && Buffer.from(credentials.privateKey),
        authorities: certificatesOf(ca).map(factsOf),
        certificate: own && factsOf(own),
      },
      clock.now(),
      asking.signal,
    );
    answer = await exchange(socket, hostname, route, JSON.stringify(body), asking.signal).catch((error: unknown) => {
      throw explain(error);
    });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof TlsPeerError) throw error;
    throw new PeerUnreachableError(cluster, enrolment, asking.signal.aborted ? asking.signal.reason : error);
  }
  return contentOf(cluster, enrolment, answer);
}

function exchange(
  socket: import('node:tls').TLSSocket,
  host: string,
  path: string,
  body: string,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    };
    const call = httpRequest(
      { method: 'POST', host, path, headers, signal, createConnection: () => socket },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > maxAnswerBytes) response.destroy(new Error('the answer is too long'));
          else chunks.push(chunk);
        });
        response.on('error', reject);
        response.on('end', () => {
          socket.destroy();
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
        });
      },
    );
    call.on('error', (error) => {
      socket.destroy();
      reject(error);
    });
    call.end(body);
  });
}

/** @throws {PeerRefusedError} */
function contentOf(
  cluster: string,
  enrolment: string,
  { status, text }: { readonly status: number; readonly text: string },
): unknown {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new PeerUnreachableError(cluster, enrolment, new Error(`it answers as no isthmus does (status ${status})`));
  }
  if (status === 200) return content;
  const answered = content as { readonly error?: { readonly code?: unknown; readonly message?: unknown } } | null;
  const error = answered?.error;
  const words = typeof error?.message === 'string' ? error.message.slice(0, 500) : `status ${status}`;
  throw new PeerRefusedError(cluster, typeof error?.code === 'string' ? error.code : 'UNKNOWN', words);
}

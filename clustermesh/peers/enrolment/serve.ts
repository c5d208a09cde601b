import { X509Certificate, constants } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Server, createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type SecureContextOptions, TLSSocket } from 'node:tls';
import { fields } from '../../../runtime/log/index.ts';
import type { HostPort } from '../../../runtime/options/index.ts';
import { ListenError } from '../../../runtime/serve/index.ts';
import { type TlsMaterial, TlsSource, peerError, secureContextOf } from '../../../runtime/tls/index.ts';
import { PeerConflictError, PeerDocumentError } from '../folder/index.ts';
import { Enrolment, type EnrolmentDependencies } from './enrol.ts';
import { answerExchange } from './exchange.ts';
import { answerLeave } from './leave.ts';
import { EnrolmentRefusal } from './refusal.ts';

export interface EnrolmentServer extends AsyncDisposable {
  readonly address: HostPort;
}

/** Two certificates and two dozen authorities would not fill this. */
const maxBodyBytes = 64 * 1024;
const maxConnections = 256;
const patienceMs = 10_000;

/**
 * Serves what other clusters ask of us about certificates, apart from the store: `POST /v1/enrol` to whoever has a token,
 * `/v1/exchange` and `/v1/leave` to peers by their certificate. Shows the cluster's server certificate; replaced files
 * count from the next connection on.
 * @throws {ListenError} {@link TlsFileError}
 */
export async function serveEnrolment(listen: HostPort, deps: EnrolmentDependencies): Promise<EnrolmentServer> {
  const { folder, clock, log } = deps;
  const { certFile, keyFile } = folder.paths.certificate('server');
  const source = new TlsSource({ certFile, keyFile, trustedCaFile: folder.paths.trustedFile }, { clock, log });
  const enrolment = new Enrolment(deps);
  let material = await source.read();
  const server = createServer(
    {
      ...contextOf(material),
      requestCert: true,
      rejectUnauthorized: false,
      requestTimeout: patienceMs,
      headersTimeout: patienceMs,
      handshakeTimeout: patienceMs,
    },
    (request, response) => void answer(deps, { enrolment, trusted: material }, request, response),
  );
  server.maxConnections = maxConnections;
  server.on('tlsClientError', (error) => log.debug('A TLS handshake of a peer failed', { [fields.error]: error }));
  const address = await listening(server, listen);
  const ending = new AbortController();
  const following = follow(source, ending.signal, (found) => {
    material = found;
    server.setSecureContext(contextOf(found));
  }).catch((error: unknown) => log.error('Certificate files are not followed any more', { [fields.error]: error }));
  return {
    address,
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      await following;
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function contextOf(material: TlsMaterial): SecureContextOptions {
  return { ...secureContextOf(material), secureOptions: constants.SSL_OP_NO_TICKET };
}

async function follow(source: TlsSource, signal: AbortSignal, take: (material: TlsMaterial) => void): Promise<void> {
  for await (const material of source.follow(signal)) take(material);
}

async function listening(server: Server, { host, port }: HostPort): Promise<HostPort> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new ListenError(`${host}:${port}`, error.code ?? 'UNKNOWN', { cause: error })),
    );
    server.listen(port, host, resolve);
  });
  const bound = server.address() as AddressInfo;
  return { host: bound.address, port: bound.port };
}

/** What a request is answered by. */
interface Serving {
  readonly enrolment: Enrolment;
  /** What clients are measured by. */
  readonly trusted: TlsMaterial;
}

async function answer(
  deps: EnrolmentDependencies,
  serving: Serving,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const send = (status: number, body: unknown): void =>
    void response
      .writeHead(status, { 'content-type': 'application/json', connection: 'close' })
      .end(`${JSON.stringify(body)}\n`);
  try {
    send(200, await answerTo(deps, serving, request));
  } catch (error) {
    const { status, code, message } = refusalOf(error);
    const said = { route: request.url, [fields.error]: error };
    // To break off is open to anybody, as often as he likes.
    if (status === 500 && !request.complete) deps.log.debug('A request of a peer broke off', said);
    else if (status === 500) deps.log.error('A request of a peer failed', said);
    send(status, { error: { code, message } });
  }
}

async function answerTo(
  deps: EnrolmentDependencies,
  { enrolment, trusted }: Serving,
  request: IncomingMessage,
): Promise<unknown> {
  const { method, url } = request;
  if (method !== 'POST' || !['/v1/enrol', '/v1/exchange', '/v1/leave'].includes(url ?? ''))
    throw new EnrolmentRefusal('BAD_REQUEST', 404, 'Served here: POST /v1/enrol, /v1/exchange, /v1/leave');
  const body = await bodyOf(request);
  if (url === '/v1/enrol') return await enrolment.enrol(body, request.socket.remoteAddress ?? '');
  const certificate = certificateOf(request, trusted, deps.clock.now());
  return url === '/v1/exchange' ? await answerExchange(deps, certificate, body) : await answerLeave(deps, certificate);
}

/** What the other end has proved to be; undefined where our authorities do not stand behind it. */
function certificateOf({ socket }: IncomingMessage, material: TlsMaterial, nowMs: number): X509Certificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  return peerError(socket, { peer: `${socket.remoteAddress}`, material, nowMs })
    ? undefined
    : socket.getPeerX509Certificate();
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new EnrolmentRefusal('BAD_REQUEST', 413, `A body has at most ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    // The parser's words quote the body, which may hold a token.
    throw new EnrolmentRefusal('BAD_REQUEST', 400, 'The body is not JSON');
  }
}

function refusalOf(error: unknown): { readonly status: number; readonly code: string; readonly message: string } {
  if (error instanceof EnrolmentRefusal) return error;
  if (error instanceof PeerConflictError) return { status: 409, code: error.code, message: error.message };
  if (error instanceof PeerDocumentError) return { status: 400, code: error.code, message: error.message };
  return {
    status: 500,
    code: 'INTERNAL',
    message: 'The request could not be answered; the log of the apiserver says why',
  };
}

import { lookup } from 'node:dns/promises';
import { type Socket, connect, isIP } from 'node:net';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { Clock } from '../../runtime/clock/index.ts';
import {
  type CertificateFacts,
  type SecureConnection,
  TlsPeerError,
  type TlsMaterial,
  connectTls,
  inWords,
  validityProblem,
} from '../../runtime/tls/index.ts';
import { BrokenLayer, type Finding, reasonOf } from './finding.ts';
import { speaksPlainly, speaksTls } from './other-protocol.ts';

export interface EndpointTarget {
  /** As the configuration says it. */
  readonly url: string;
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
}

export interface EndpointDeps {
  /** The addresses of a name; the system's resolver unless given. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  readonly nowMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Every address of the name. @throws {BrokenLayer} */
export async function resolveHost(target: EndpointTarget, deps: EndpointDeps): Promise<Finding> {
  const { url, host } = target;
  if (isIP(host) !== 0) return { layer: 'resolve', state: 'ok', endpoint: url, detail: `${host} is an address` };
  const resolve = deps.resolve ?? systemResolve;
  try {
    const addresses = await withSignal(resolve(host), deps.signal);
    if (addresses.length === 0) throw new Error('the name has no address');
    const detail = `${host}: ${addresses.join(', ')}`;
    return { layer: 'resolve', state: 'ok', endpoint: url, detail, facts: { addresses } };
  } catch (error) {
    throw new BrokenLayer({
      layer: 'resolve',
      endpoint: url,
      detail: `${host} cannot be resolved: ${timedOut(deps.signal) ?? reasonOf(error)}`,
      next: `getent ahosts ${host}`,
    });
  }
}

/** Somebody listens there. @throws {BrokenLayer} */
export async function connectOnce(target: EndpointTarget, { signal }: EndpointDeps): Promise<Finding> {
  const { url, host, port } = target;
  const socket: Socket = connect({ host, port });
  try {
    await withSignal(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      }),
      signal,
    );
    const detail = `connected to ${socket.remoteAddress ?? host} port ${port}`;
    return { layer: 'tcp', state: 'ok', endpoint: url, detail };
  } catch (error) {
    throw new BrokenLayer({
      layer: 'tcp',
      endpoint: url,
      detail: `no connection to ${host} port ${port}: ${timedOut(signal) ?? wordsOf(error)}`,
      next: `nc -vz -w 3 ${host} ${port}`,
    });
  } finally {
    socket.on('error', () => undefined);
    socket.destroy();
  }
}

/** A handshake, and an answer after it: under TLS 1.3 a server refuses a client's certificate only then. @throws {BrokenLayer} */
export async function shakeHands(target: EndpointTarget, material: TlsMaterial, deps: EndpointDeps): Promise<Finding> {
  const { url, host, port, secure } = target;
  const { nowMs, signal } = deps;
  if (!secure) {
    // Asked in its own tongue first: what is well hears nothing that it does not understand.
    if (!(await speaksPlainly(target, deps)) && (await speaksTls(target, deps)))
      throw new BrokenLayer({
        layer: 'tls',
        endpoint: url,
        detail: `${host} port ${port} speaks TLS, and the endpoint is plain http: the configuration has to say https://${hostPort(target)}, with trusted-ca-file, cert-file and key-file`,
        facts: { problem: 'tls-wanted' },
        next: `openssl s_client -connect ${hostPort(target)} -showcerts </dev/null`,
      });
    return { layer: 'tls', state: 'warning', endpoint: url, detail: 'not used: the endpoint is plain http' };
  }
  let connection: SecureConnection | undefined;
  try {
    // Without a protocol: what answers then is HTTP/1.1, and what it says does not matter here.
    connection = await connectTls({ host, port }, material, nowMs, signal);
    const facts = factsOf(connection.socket, connection.peer);
    if (!(await answered(connection.socket, signal))) throw refusal(target, material, connection.peer);
    const presented = connection.peer ? inWords(connection.peer) : 'no certificate';
    const until = connection.peer ? `, valid until ${dateOf(connection.peer.notAfterMs)}` : '';
    const detail = `${facts.protocol ?? 'TLS'} with ${presented}${until}`;
    return { layer: 'tls', state: 'ok', endpoint: url, detail, facts };
  } catch (error) {
    const explained = connection ? connection.explain(error) : error;
    // Some servers answer what they do not understand, others just hang up.
    const isPlain =
      !connection && !signal.aborted && mayBePlain(explained) && (await speaksPlainly(target, deps).catch(() => false));
    if (isPlain)
      throw new BrokenLayer(
        {
          layer: 'tls',
          endpoint: url,
          detail: `${host} port ${port} speaks no TLS, but plain HTTP: either it is to be given a certificate, or the configuration says http://${hostPort(target)}, without certificates`,
          facts: { problem: 'no-tls' },
          next: `curl -sS http://${hostPort(target)}/version`,
        },
        { cause: error },
      );
    const certFile = material.files.certFile;
    const refused = explained instanceof TlsPeerError && explained.problem === 'refused';
    throw new BrokenLayer(
      {
        layer: 'tls',
        endpoint: url,
        detail: timedOut(signal) ?? wordsOf(explained),
        ...(explained instanceof TlsPeerError
          ? { facts: { problem: explained.problem, presented: explained.presented, file: explained.file } }
          : {}),
        next:
          refused && certFile !== undefined
            ? `openssl x509 -noout -subject -issuer -dates -fingerprint -sha256 -in ${certFile}`
            : `openssl s_client -connect ${hostPort(target)} ${sniOf(target, material)}-showcerts </dev/null`,
      },
      { cause: error },
    );
  } finally {
    connection?.socket.on('error', () => undefined);
    connection?.socket.destroy();
  }
}

/** Not after what only somebody says who speaks TLS. */
function mayBePlain(error: unknown): boolean {
  return !(error instanceof TlsPeerError) || error.problem === 'no-tls';
}

/** `host:port`, an IPv6 address in brackets. */
export function hostPort({ host, port }: Pick<EndpointTarget, 'host' | 'port'>): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The name that is expected there, which may be another than the one that is dialled. An address is no such name. */
function sniOf({ host }: EndpointTarget, { files: { serverName = host } }: TlsMaterial): string {
  return isIP(serverName) === 0 ? `-servername ${serverName} ` : '';
}

/** What of our own certificate is worth a word before anybody is asked. */
export function ownCertificate(material: TlsMaterial, nowMs: number): Finding[] {
  const { certificate, authorities, files } = material;
  const findings: Finding[] = [];
  const warn = (detail: string): void => void findings.push({ layer: 'configuration', state: 'warning', detail });
  for (const authority of authorities) {
    const problem = validityProblem(authority, nowMs);
    if (problem) warn(`the trusted ${inWords(authority)} in ${files.trustedCaFile} ${problem.words}`);
  }
  if (!certificate) return findings;
  const problem = validityProblem(certificate, nowMs);
  if (problem) warn(`our certificate ${inWords(certificate)} in ${files.certFile} ${problem.words}`);
  return findings;
}

/** Sends a question that every HTTP server answers, and waits for the first byte. False when the connection ends before. */
async function answered(socket: TLSSocket, signal: AbortSignal): Promise<boolean> {
  return await withSignal(
    new Promise<boolean>((resolve, reject) => {
      socket.once('data', () => resolve(true));
      socket.once('end', () => resolve(false));
      socket.once('error', reject);
      socket.once('close', () => resolve(false));
      socket.write('GET /version HTTP/1.1\r\nhost: store\r\nconnection: close\r\n\r\n');
    }),
    signal,
  );
}

/** A server may end the connection instead of saying what it has against our certificate. */
function refusal(
  { host, port }: EndpointTarget,
  { certificate, files }: TlsMaterial,
  presented: CertificateFacts | undefined,
): TlsPeerError {
  const ours = certificate
    ? `it refuses our certificate ${inWords(certificate)}, issued by ${certificate.issuer}, from ${files.certFile}`
    : 'it wants a certificate of us, and none is configured';
  const words = `${host} port ${port} ended the connection right after the handshake: ${ours}`;
  return new TlsPeerError('refused', words, { presented, file: files.certFile });
}

function factsOf(socket: TLSSocket, peer: CertificateFacts | undefined) {
  return {
    protocol: socket.getProtocol() ?? undefined,
    cipher: socket.getCipher().name,
    presented: peer,
    chain: chainOf(socket.getPeerCertificate(true)),
  };
}

/** Subjects and fingerprints from the server's certificate upwards, as far as they were sent or are known. */
function chainOf(certificate: DetailedPeerCertificate): { readonly subject: string; readonly fingerprint: string }[] {
  const chain: { subject: string; fingerprint: string }[] = [];
  let at: DetailedPeerCertificate | undefined = certificate;
  while (at?.fingerprint256 !== undefined && !chain.some(({ fingerprint }) => fingerprint === at?.fingerprint256)) {
    chain.push({ subject: `CN=${String(at.subject.CN)}`, fingerprint: at.fingerprint256 });
    at = at.issuerCertificate;
  }
  return chain;
}

async function systemResolve(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

async function withSignal<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    promise.catch(() => undefined);
  }
}

function timedOut(signal: AbortSignal): string | undefined {
  return signal.aborted ? 'no answer in time' : undefined;
}

/** Node wraps what happened at each of several addresses. */
function wordsOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return reasonOf(error);
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

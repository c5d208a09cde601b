import type { TLSSocket } from 'node:tls';
import { type CertificateFacts, factsOf, inWords, validityProblem } from './certificate.ts';
import type { TlsMaterial } from './files.ts';
import { standsInPart } from './partial-chain.ts';

/** What is wrong between two ends of a connection. */
export type TlsProblem =
  /** The other end's certificate, or an authority of its chain, is too old. */
  | 'expired'
  | 'not-yet-valid'
  /** Nobody whom we trust has signed it. */
  | 'wrong-authority'
  /** It is good, but for another name. */
  | 'wrong-name'
  /** It presented none. */
  | 'no-certificate'
  /** It did not like ours. */
  | 'refused'
  /** It does not speak TLS. */
  | 'no-tls'
  | 'other';

/**
 * Two ends that do not trust each other. The message names what was presented and what was expected, each with its
 * SHA-256 fingerprint, and the file to look at.
 */
export class TlsPeerError extends Error {
  override readonly name = 'TlsPeerError';
  readonly code = 'TLS_PEER';
  readonly problem: TlsProblem;
  /** The other end's certificate. */
  readonly presented: CertificateFacts | undefined;
  /** The file that decides: whom we trust, or who we are. */
  readonly file: string | undefined;

  constructor(
    problem: TlsProblem,
    message: string,
    facts: { readonly presented?: CertificateFacts | undefined; readonly file?: string | undefined },
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.problem = problem;
    this.presented = facts.presented;
    this.file = facts.file;
  }
}

export interface PeerExpectation {
  /** The other end, for people: `etcd.example:2379`. */
  readonly peer: string;
  readonly material: TlsMaterial;
  /** The name its certificate must have; only clients expect one. */
  readonly expectedName?: string | undefined;
  /** Wall time. */
  readonly nowMs: number;
}

/**
 * Why the other end of a socket whose handshake is done is not to be trusted; undefined when it is. For both ends:
 * sockets made with `rejectUnauthorized: false`, so that there is still a certificate to speak of.
 */
export function peerError(socket: TLSSocket, expectation: PeerExpectation): TlsPeerError | undefined {
  if (socket.authorized) return undefined;
  const { peer, material, expectedName, nowMs } = expectation;
  const certificate = socket.getPeerX509Certificate();
  const trusted = trustedInWords(material);
  const file = material.files.trustedCaFile;
  if (!certificate)
    return new TlsPeerError('no-certificate', `${peer} presented no certificate; expected one signed by ${trusted}`, {
      file,
    });
  // The types promise an error; it is OpenSSL's or Node's code as a text.
  const code = String(socket.authorizationError);
  // Only servers expect no name.
  if (expectedName === undefined && standsInPart(certificate, code, material.ca, nowMs)) return undefined;
  const presented = factsOf(certificate);
  const error = (problem: TlsProblem, words: string): TlsPeerError =>
    new TlsPeerError(problem, `Certificate of ${peer} ${words}; presented was ${inWords(presented)}`, {
      presented,
      file,
    });
  switch (code) {
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID': {
      const own = validityProblem(presented, nowMs);
      if (own) return error(own.problem, `${own.words}; trusted: ${trusted}`);
      const problem = code === 'CERT_HAS_EXPIRED' ? 'expired' : 'not-yet-valid';
      const authority = material.authorities.find((one) => validityProblem(one, nowMs));
      const what = authority
        ? `was issued by ${inWords(authority)}${inFile(file)}, which ${validityProblem(authority, nowMs)?.words}`
        : `was issued by ${presented.issuer}, which ${problem === 'expired' ? 'has expired' : 'is not valid yet'}; trusted: ${trusted}`;
      return error(problem, what);
    }
    case 'ERR_TLS_CERT_ALTNAME_INVALID': {
      const names = presented.names.length === 0 ? 'no name at all' : presented.names.join(', ');
      return error(
        'wrong-name',
        `is not for ${JSON.stringify(expectedName ?? '')}, but for ${names}; trusted: ${trusted}`,
      );
    }
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'CERT_SIGNATURE_FAILURE':
    case 'CERT_UNTRUSTED':
    case 'INVALID_CA': {
      const by = presented.issuer === presented.subject ? 'is self-signed' : `is issued by ${presented.issuer}`;
      return error('wrong-authority', `${by}, which is not trusted; trusted: ${trusted}`);
    }
    default:
      return error('other', `is refused (${code}); trusted: ${trusted}`);
  }
}

/**
 * What a failed handshake, or a failure right after it, means: under TLS 1.3 a server says only then that it does not
 * like our certificate. Errors that have nothing to do with TLS are given back as they are.
 */
export function explainTlsFailure(
  error: unknown,
  { peer, material, nowMs }: PeerExpectation,
  presented: CertificateFacts | undefined,
): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (error instanceof TlsPeerError || !/^ERR_SSL_|^EPROTO$/.test(code)) return error;
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/.test(code))
    return new TlsPeerError('no-tls', `${peer} does not speak TLS`, {}, { cause: error });
  const alert = /ALERT_(.*)$/.exec(code)?.[1];
  if (alert === undefined || !/CERT|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE/.test(alert))
    return new TlsPeerError('other', `TLS with ${peer} failed: ${code}`, { presented }, { cause: error });
  const said = alert.toLowerCase().replaceAll('_', ' ');
  const who = presented ? `; it presented ${inWords(presented)}` : '';
  const { certificate, files } = material;
  if (!certificate)
    return new TlsPeerError('refused', `${peer} wants a certificate of us, and none is configured (${said})${who}`, {
      presented,
    });
  const ours = validityProblem(certificate, nowMs);
  const words = `${peer} refuses our certificate (${said}): ours from ${files.certFile} is ${inWords(certificate)}, issued by ${certificate.issuer}`;
  return new TlsPeerError(
    'refused',
    `${words}${ours ? `, and ${ours.words}` : ''}${who}`,
    { presented, file: files.certFile },
    { cause: error },
  );
}

const namedAuthorities = 3;

function trustedInWords({ authorities, files, ca }: TlsMaterial): string {
  if (!ca) return 'the authorities of this system';
  const named = authorities.slice(0, namedAuthorities).map(inWords);
  const more = authorities.length - named.length;
  return `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}${inFile(files.trustedCaFile)}`;
}

function inFile(file: string | undefined): string {
  return file === undefined ? '' : ` from ${file}`;
}

import { X509Certificate } from 'node:crypto';
import { DocumentReader, PeerDocumentError } from '../folder/index.ts';
import { timeText } from '../folder/index.ts';

/** What a cluster hands to one that it invites. The token in it is worth as much as a key until it is used or expires. */
export interface InvitationBundle {
  /** Who invites. */
  readonly cluster: { readonly name: string; readonly id: number; readonly maxConnectedClusters: number };
  /** Who is invited, and nobody else. */
  readonly invited: { readonly name: string; readonly id: number };
  readonly endpoints: readonly string[];
  readonly enrolment: string;
  /** Authorities of the cluster that invites, PEM. */
  readonly authorities: string;
  /** SHA-256 of the first of them. */
  readonly fingerprint: string;
  /** For the certificate by which the cluster that invites will read the other one's store. */
  readonly request: string;
  readonly invitation: string;
  readonly token: string;
  readonly expiresMs: number;
}

const kind = 'isthmus-peer-invitation';
/** Two dozen authorities would not fill this. */
const maxBytes = 256 * 1024;

export function formatBundle({ expiresMs, ...rest }: InvitationBundle): string {
  return `${JSON.stringify({ kind, version: 1, ...rest, expires: timeText(expiresMs) }, undefined, 2)}\n`;
}

/**
 * Reads a bundle. No error repeats what stands in it.
 * @throws {PeerDocumentError} naming the field
 */
export function parseBundle(text: string): InvitationBundle {
  const document = 'Invitation';
  if (Buffer.byteLength(text) > maxBytes) throw new PeerDocumentError(document, '', `at most ${maxBytes} bytes`);
  const reader = DocumentReader.ofJson(document, text);
  reader.exactly('kind', kind);
  if (reader.whole('version') !== 1) throw reader.error('version', '1: this one is of a newer isthmus');
  const cluster = reader.object('cluster');
  const invited = reader.object('invited');
  const bundle: InvitationBundle = {
    cluster: {
      name: cluster.clusterName('name'),
      id: cluster.whole('id', 1, 511),
      maxConnectedClusters: cluster.whole('maxConnectedClusters', 255, 511),
    },
    invited: { name: invited.clusterName('name'), id: invited.whole('id', 1, 511) },
    endpoints: reader.endpoints('endpoints'),
    enrolment: reader.optionalEndpoint('enrolment') ?? '',
    authorities: reader.authorities('authorities'),
    fingerprint: reader.text('fingerprint'),
    request: reader.text('request'),
    invitation: reader.text('invitation'),
    token: reader.text('token'),
    expiresMs: reader.time('expires'),
  };
  if (bundle.enrolment === '') throw reader.error('enrolment', 'an endpoint, as https://HOST:PORT');
  if (!/^[0-9a-f]{16}$/.test(bundle.invitation)) throw reader.error('invitation', '16 hexadecimal digits');
  if (!/^[A-Za-z0-9_-]{43}$/.test(bundle.token)) throw reader.error('token', '256 bits in base64url');
  const [first] = reader.certificates('authorities');
  if (first?.fingerprint256 !== bundle.fingerprint)
    throw reader.error('fingerprint', 'the SHA-256 fingerprint of the first certificate in authorities');
  for (const one of [cluster, invited, reader]) one.done();
  return bundle;
}

/** `AB:CD:…`, as people compare it. */
export function bundleFingerprint(authorities: string): string {
  return new X509Certificate(authorities).fingerprint256;
}

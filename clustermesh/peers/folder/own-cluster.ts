import type { MaxConnectedClusters } from '../../../values/identity/index.ts';
import { DocumentReader } from './document.ts';

/** What a cluster tells its peers of itself, and how it certifies. */
export interface OwnMesh {
  readonly name: string;
  readonly id: number;
  readonly maxConnectedClusters: MaxConnectedClusters;
  /** Where its store is reached from other clusters. */
  readonly endpoints: readonly string[];
  /** Where others enrol and renew. */
  readonly enrolment: string | undefined;
  /** Names and addresses of its server besides those of the endpoints. */
  readonly extraNames: readonly string[];
  /** Kubernetes namespace of Cilium. */
  readonly namespace: string;
  readonly certificateLifetimeMs: number;
  readonly authorityLifetimeMs: number;
  /** A folder with `tls.crt` and `tls.key` of an authority that somebody else looks after (cert-manager, Vault). */
  readonly authorityFolder: string | undefined;
}

export function formatOwnMesh(mesh: OwnMesh): string {
  return `${JSON.stringify({ version: 1, ...mesh }, undefined, 2)}\n`;
}

/** @throws {PeerDocumentError} */
export function parseOwnMesh(text: string, document: string): OwnMesh {
  const reader = DocumentReader.ofJson(document, text);
  reader.whole('version', 1, 1);
  const mesh = {
    name: reader.clusterName('name'),
    id: reader.whole('id', 1, 511),
    maxConnectedClusters: reader.whole('maxConnectedClusters') === 511 ? (511 as const) : (255 as const),
    endpoints: reader.endpoints('endpoints', { min: 0 }),
    enrolment: reader.optionalEndpoint('enrolment'),
    extraNames: reader.texts('extraNames'),
    namespace: reader.text('namespace'),
    certificateLifetimeMs: reader.whole('certificateLifetimeMs', 1),
    authorityLifetimeMs: reader.whole('authorityLifetimeMs', 1),
    authorityFolder: reader.optionalText('authorityFolder'),
  };
  reader.done();
  return mesh;
}

/** All names of its server besides the standing ones: hosts of what it tells others, and those given. */
export function serverNamesOf({ endpoints, enrolment, extraNames }: OwnMesh): readonly string[] {
  const urls = [...endpoints, ...(enrolment === undefined ? [] : [enrolment])];
  const hosts = urls.map((url) => new URL(url).hostname.replace(/^\[(.*)\]$/, '$1'));
  return [...new Set([...hosts, ...extraNames])];
}

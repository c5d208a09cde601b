import { parseAllDocuments } from 'yaml';
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { certificatesOf } from '../../../runtime/tls/index.ts';
import { DocumentReader, PeerDocumentError } from '../folder/index.ts';
import { isClusterName } from '../../wire/index.ts';
import { serverNameOf } from '../certificates/index.ts';
import type { CiliumRemote } from './secret.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads how Cilium's clusters are followed: Secrets of its configuration directory (`<cluster>` and `<cluster>.etcd-client*`,
 * or `common-etcd-client*`, which may stand in the Secret of the remote certificate), or Helm values
 * (`clustermesh.config.clusters`).
 * @param only the cluster to be read; where it is not said, there must be exactly one
 * @throws {PeerDocumentError}
 */
export function readCilium(text: string, document: string, only: string | undefined): CiliumRemote {
  const parsed = parseAllDocuments(text);
  const documents = (Array.isArray(parsed) ? parsed : []).map((one) => {
    if (one.errors.length > 0) throw new PeerDocumentError(document, '', 'YAML');
    return one.toJS({ maxAliasCount: 0 }) as unknown;
  });
  const objects = documents
    .filter(isFields)
    .flatMap((one) =>
      one['kind'] === 'List' && Array.isArray(one['items']) ? (one['items'] as unknown[]).filter(isFields) : [one],
    );
  const secrets = objects.filter((one) => one['kind'] === 'Secret').map((one) => filesOf(document, one));
  // One directory is mounted from several Secrets.
  const common = new Map(secrets.flatMap((files) => [...commonFiles(files)]));
  const remotes = [
    ...secrets.flatMap((files) => fromSecret(document, new Map([...common, ...files]))),
    ...objects.filter((one) => one['kind'] !== 'Secret').flatMap((one) => fromHelm(document, one)),
  ];
  const found = new Map(remotes.map((remote) => [remote.name, remote]));
  const names = [...found.keys()].toSorted();
  const wanted = only ?? (names.length === 1 ? names[0] : undefined);
  const remote = wanted === undefined ? undefined : found.get(wanted);
  if (remote) return checked(document, remote);
  if (names.length === 0)
    throw new PeerDocumentError(
      document,
      '',
      "a Secret of Cilium's clustermesh configuration, or Helm values with clustermesh.config.clusters",
    );
  throw new PeerDocumentError(document, '', `one cluster, chosen of those that stand there (${names.join(', ')})`);
}

/** The files that a Secret holds, by name. */
function filesOf(document: string, secret: Fields): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const [field, isEncoded] of [
    ['data', true],
    ['stringData', false],
  ] as const) {
    const members = secret[field];
    if (members === undefined || members === null) continue;
    if (!isFields(members)) throw new PeerDocumentError(document, field, 'a mapping');
    for (const [name, value] of Object.entries(members)) {
      if (typeof value !== 'string') throw new PeerDocumentError(document, `${field}.${name}`, 'a text');
      files.set(name, isEncoded ? Buffer.from(value, 'base64').toString('utf8') : value);
    }
  }
  return files;
}

/**
 * Clusters without credentials of their own are followed with the remote certificate of the cluster that follows. It is a
 * Secret of type TLS, and is mounted beside the configurations under these names (clustermesh-behaviour §2.6, §17).
 */
function commonFiles(files: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const named = [
    ['ca.crt', 'common-etcd-client-ca.crt'],
    ['tls.crt', 'common-etcd-client.crt'],
    ['tls.key', 'common-etcd-client.key'],
  ] as const;
  return new Map(
    named.flatMap(([member, name]) => {
      const content = files.get(member);
      return content === undefined ? [] : [[name, content] as const];
    }),
  );
}

function fromSecret(document: string, files: ReadonlyMap<string, string>): CiliumRemote[] {
  return [...files]
    .filter(([name, text]) => isClusterName(name) && text.includes('endpoints:'))
    .map(([name, text]) => {
      const [config] = parseAllDocuments(text);
      const reader = new DocumentReader(
        document,
        config && 'toJS' in config ? (config.toJS({ maxAliasCount: 0 }) as unknown) : undefined,
        name,
      );
      const file = (field: string): string => {
        const base = reader.text(field).split('/').at(-1) ?? '';
        const content = files.get(base);
        if (content === undefined)
          throw reader.error(
            field,
            `a file of this Secret: there is no ${base}${base.startsWith('common-') ? ' (the Secret clustermesh-apiserver-remote-cert beside it has it)' : ''}`,
          );
        return content;
      };
      return {
        name,
        endpoints: reader.endpoints('endpoints'),
        authorities: file('trusted-ca-file'),
        certificate: file('cert-file'),
        privateKey: file('key-file'),
      };
    });
}

function fromHelm(document: string, values: Fields): CiliumRemote[] {
  const root = new DocumentReader(document, values);
  const config = root.optionalObject('clustermesh')?.optionalObject('config');
  if (!config?.has('clusters')) return [];
  // A list, or since Cilium 1.19 a mapping by name; one that was disconnected stays there and is switched off.
  const domain = config.optionalText('domain');
  const clusters =
    config.members('clusters') ?? config.objects('clusters').map((one) => [one.clusterName('name'), one] as const);
  return clusters.flatMap(([name, one]) => {
    if (one.isFalse('enabled')) return [];
    if (!isClusterName(name)) throw config.error('clusters', 'names of clusters');
    const tls = one.object('tls');
    const port = one.has('port') ? one.whole('port', 1, 65_535) : 2379;
    const ips = one.texts('ips');
    const hosts = ips.length > 0 ? ips : [one.text('address')];
    // Cilium gives the addresses this name in /etc/hosts; we dial the address and expect the name.
    const named = domain === undefined ? serverNameOf(name) : `${name}.${domain}`;
    const serverName = ips.length === 0 ? undefined : named;
    const decoded = (field: string): string => Buffer.from(tls.text(field), 'base64').toString('utf8');
    const remote = {
      name,
      serverName,
      endpoints: hosts.map((host) => `https://${host.includes(':') ? `[${host}]` : host}:${port}`),
      authorities: decoded('caCert'),
      certificate: decoded('cert'),
      privateKey: decoded('key'),
    };
    return [remote];
  });
}

/** What was read must be of use. @throws {PeerDocumentError} */
function checked(document: string, remote: CiliumRemote): CiliumRemote {
  const bad = (field: string, expected: string): PeerDocumentError =>
    new PeerDocumentError(document, `${remote.name}.${field}`, expected);
  let certificate: X509Certificate;
  let matches = false;
  try {
    if (certificatesOf(Buffer.from(remote.authorities)).length === 0) throw new RangeError('none');
  } catch {
    throw bad('trusted-ca-file', 'certificates of authorities (PEM)');
  }
  try {
    certificate = new X509Certificate(remote.certificate);
  } catch {
    throw bad('cert-file', 'a certificate (PEM)');
  }
  try {
    matches = certificate.checkPrivateKey(createPrivateKey(remote.privateKey));
  } catch {
    throw bad('key-file', 'a private key (PEM)');
  }
  if (!matches) throw bad('key-file', 'the private key of the certificate');
  return remote;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

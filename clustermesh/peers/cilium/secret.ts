import { stringify } from 'yaml';

/** What a Cilium cluster is told of one of its remotes. */
export interface CiliumRemote {
  readonly name: string;
  readonly endpoints: readonly string[];
  /** The name of its servers where it is not the host that is dialled. */
  readonly serverName?: string | undefined;
  readonly authorities: string;
  readonly certificate: string;
  readonly privateKey: string;
}

/** Where Cilium mounts the Secrets (clustermesh-behaviour §2.1). */
const mountedAt = '/var/lib/cilium/clustermesh';

/**
 * The Secret of one remote for the configuration directory of Cilium's agents or of its kvstoremesh: the file of the
 * cluster's name and three files of credentials (clustermesh-behaviour §2.6). Meant to be merged into the Secret that is
 * there: other clusters have other keys.
 */
export function ciliumSecret(remote: CiliumRemote, secretName: string, namespace: string): string {
  const file = (ending: string): string => `${remote.name}.etcd-client${ending}`;
  const config = stringify({
    endpoints: remote.endpoints,
    'trusted-ca-file': `${mountedAt}/${file('-ca.crt')}`,
    'key-file': `${mountedAt}/${file('.key')}`,
    'cert-file': `${mountedAt}/${file('.crt')}`,
  });
  const data = {
    [remote.name]: config,
    [file('-ca.crt')]: remote.authorities,
    [file('.key')]: remote.privateKey,
    [file('.crt')]: remote.certificate,
  };
  return stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: secretName, namespace },
    type: 'Opaque',
    data: Object.fromEntries(Object.entries(data).map(([name, text]) => [name, base64(text)])),
  });
}

/**
 * One entry of Helm's `clustermesh.config.clusters` says the same: address, port, and credentials in base64. It knows one port, and addresses
 * or a name: the first endpoint counts, and of the others those that fit.
 */
export function ciliumHelmValues(remote: CiliumRemote): string {
  const { name, port, addresses } = spokenByHelm(remote.endpoints);
  return stringify({
    clustermesh: {
      config: {
        enabled: true,
        clusters: [
          {
            name: remote.name,
            ...(name === undefined ? {} : { address: name }),
            port,
            ...(addresses.length === 0 ? {} : { ips: addresses }),
            tls: {
              cert: base64(remote.certificate),
              key: base64(remote.privateKey),
              caCert: base64(remote.authorities),
            },
          },
        ],
      },
    },
  });
}

/** Endpoints of which Helm values cannot speak beside the first one. */
export function endpointsBeyondHelm(endpoints: readonly string[]): readonly string[] {
  const { name, port, addresses } = spokenByHelm(endpoints);
  return endpoints.filter((endpoint) => {
    const one = hostPortOf(endpoint);
    return one.port !== port || !(name === undefined ? addresses : [name]).includes(one.host);
  });
}

function spokenByHelm(endpoints: readonly string[]): {
  readonly name: string | undefined;
  readonly port: number;
  readonly addresses: readonly string[];
} {
  const all = endpoints.map(hostPortOf);
  const { host, port } = all[0] ?? { host: '', port: 443 };
  if (!isAddress(host)) return { name: host, port, addresses: [] };
  const fitting = all.filter((one) => one.port === port && isAddress(one.host));
  return { name: undefined, port, addresses: fitting.map((one) => one.host) };
}

function hostPortOf(endpoint: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(endpoint);
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? 443 : Number(port) };
}

function isAddress(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(':');
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

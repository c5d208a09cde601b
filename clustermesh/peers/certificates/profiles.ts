/** What a certificate of a cluster's own authority is for (clustermesh-behaviour §17; those of agents are ours). */
export type CertificateName = 'server' | 'admin' | 'local' | 'remote' | `agent-${string}`;

/** Those that every cluster has. */
export const standingCertificates: readonly CertificateName[] = ['server', 'admin', 'local', 'remote'];

export interface CertificateProfile {
  readonly commonName: string;
  readonly names: readonly string[];
  readonly use: 'server' | 'client' | 'server-and-client';
}

export interface ProfileOptions {
  readonly cluster: string;
  /** Kubernetes namespace of Cilium, for the name of its Service. */
  readonly namespace: string;
  /** Hosts and addresses under which the cluster is reached besides. */
  readonly extraNames: readonly string[];
}

/** Whether a text names a certificate that can be issued. */
export function isCertificateName(name: string): name is CertificateName {
  return (
    (standingCertificates as readonly string[]).includes(name) ||
    /^agent-[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/.test(name)
  );
}

/** Who a certificate is, and under which names. Common names are users of the store (kvstore-schema §13). */
export function profileOf(
  name: CertificateName,
  { cluster, namespace, extraNames }: ProfileOptions,
): CertificateProfile {
  switch (name) {
    case 'server': {
      const names = [
        'clustermesh-apiserver.cilium.io',
        '*.mesh.cilium.io',
        serverNameOf(cluster),
        `clustermesh-apiserver.${namespace}.svc`,
        'localhost',
        '127.0.0.1',
        '::1',
        ...extraNames,
      ];
      return { commonName: 'clustermesh-apiserver.cilium.io', names: [...new Set(names)], use: 'server' };
    }
    case 'admin':
    case 'local':
    case 'remote':
      return { commonName: `${name}-${cluster}`, names: [], use: 'client' };
    default:
      return { commonName: name, names: [], use: 'client' };
  }
}

/** The name that a cluster's server has whatever its address is. */
export function serverNameOf(cluster: string): string {
  return `${cluster}.mesh.cilium.io`;
}

/** The user that a cluster is in the stores of others. */
export function remoteUserOf(cluster: string): string {
  return `remote-${cluster}`;
}

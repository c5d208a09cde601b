import { join } from 'node:path';
import type { CertificateName } from '../certificates/index.ts';

/** Files of one certificate, named as in a Kubernetes secret of type TLS. */
export interface CertificatePaths {
  readonly folder: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
}

/** Where everything about the own cluster's certificates and peers stands. */
export interface PeerPaths {
  readonly root: string;
  readonly ownFile: string;
  readonly lockFile: string;
  readonly authorityFolder: string;
  /** Authorities that certificates of ours may come from: old and new ones while they change. */
  readonly trustedFile: string;
  readonly usersFile: string;
  /** Certificates that were taken back before they expired. */
  readonly revokedFile: string;
  readonly peersFolder: string;
  readonly invitationsFolder: string;
  readonly pendingFolder: string;
  /** What agents and kvstoremesh follow (`--clustermesh-config`). */
  readonly configFolder: string;
  readonly certificatesFolder: string;
  certificate(name: CertificateName): CertificatePaths;
}

export function peerPaths(root: string): PeerPaths {
  const certificatesFolder = join(root, 'certificates');
  return {
    root,
    ownFile: join(root, 'cluster.json'),
    lockFile: join(root, '..lock'),
    authorityFolder: join(root, 'authority'),
    trustedFile: join(root, 'authority', 'ca.crt'),
    usersFile: join(root, 'users.yaml'),
    revokedFile: join(root, 'revoked.json'),
    peersFolder: join(root, 'peers'),
    invitationsFolder: join(root, 'invitations'),
    pendingFolder: join(root, 'pending'),
    configFolder: join(root, 'clustermesh'),
    certificatesFolder,
    certificate: (name) => {
      const folder = join(certificatesFolder, name);
      return {
        folder,
        certFile: join(folder, 'tls.crt'),
        keyFile: join(folder, 'tls.key'),
        caFile: join(folder, 'ca.crt'),
      };
    },
  };
}

/** Files of one peer in the configuration directory (clustermesh-behaviour §2.6). */
export function configFiles(
  folder: string,
  peer: string,
): Readonly<Record<'config' | 'policy' | 'ca' | 'key' | 'cert', string>> {
  const file = (ending: string): string => join(folder, `${peer}${ending}`);
  return {
    config: file(''),
    policy: file('.isthmus.yaml'),
    ca: file('.etcd-client-ca.crt'),
    key: file('.etcd-client.key'),
    cert: file('.etcd-client.crt'),
  };
}

import { stringify } from 'yaml';
import { remoteUserOf } from '../certificates/index.ts';
import type { PeerRecord } from './peer-record.ts';

/** Says where the text comes from, for those who would edit it. */
const heading = '# Written by isthmus peer: users of this store that are other clusters.\n';

/**
 * The users file (docs/etcd-api.md) that follows from the peers: each is a user with the rights of a remote cluster, known
 * by the certificates that it was given, or by its own authority.
 * @param revoked fingerprints of certificates that were taken back
 * @param authorityFile where the authorities of a declared peer stand, as seen from the users file
 */
export function usersFileOf(
  peers: readonly PeerRecord[],
  revoked: readonly string[],
  authorityFile: (peer: string) => string,
): string {
  const users = peers.flatMap((peer) => {
    const user = { name: remoteUserOf(peer.name), role: 'remote' };
    if (peer.kind === 'declared') return [user];
    const certificates = peer.admitted.map(({ fingerprint }) => fingerprint);
    return certificates.length === 0 ? [] : [{ ...user, certificates }];
  });
  const authorities = peers
    .filter(({ kind }) => kind === 'declared')
    .map(({ name }) => ({ file: authorityFile(name), user: remoteUserOf(name) }));
  return `${heading}${stringify({
    ...(authorities.length === 0 ? {} : { authorities }),
    users,
    ...(revoked.length === 0 ? {} : { revoked }),
  })}`;
}

/** The configuration of a client of etcd, as Cilium and our agents read it (clustermesh-behaviour §2.6). */
export function clientConfigOf(
  { endpoints, serverName }: Pick<PeerRecord, 'endpoints' | 'serverName'>,
  files: { readonly ca: string; readonly key: string; readonly cert: string },
): string {
  return stringify({
    endpoints,
    'trusted-ca-file': files.ca,
    'key-file': files.key,
    'cert-file': files.cert,
    ...(serverName === undefined ? {} : { 'server-name': serverName }),
  });
}

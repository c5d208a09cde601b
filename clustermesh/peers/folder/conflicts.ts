import { certificatesOf } from '../../../runtime/tls/index.ts';
import type { MaxConnectedClusters } from '../../../values/identity/index.ts';
import { keyHashOf } from '../certificates/index.ts';
import type { Invitation } from './invitation.ts';
import type { PeerRecord } from './peer-record.ts';

/** A cluster that cannot be our peer, and why in one word. */
export class PeerConflictError extends Error {
  override readonly name = 'PeerConflictError';
  readonly code: PeerConflict;
  readonly hint: string | undefined;

  constructor(code: PeerConflict, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

export type PeerConflict =
  | 'NAME_IS_OURS'
  | 'ID_IS_OURS'
  | 'NAME_TAKEN'
  | 'ID_TAKEN'
  | 'NAME_RESERVED'
  | 'ID_RANGE'
  | 'MESH_SIZE_DIFFERS'
  | 'AUTHORITY_TAKEN';

export interface Candidate {
  readonly name: string;
  readonly id: number;
  readonly maxConnectedClusters?: number | undefined;
}

/**
 * What would go wrong with a cluster as our peer (clustermesh-behaviour §11): names and ids are unique in a mesh.
 * @param ignored the invitation that is being accepted
 * @throws {PeerConflictError}
 */
export function refuseConflict(
  candidate: Candidate,
  own: { readonly name: string; readonly id: number; readonly maxConnectedClusters: MaxConnectedClusters },
  known: { readonly peers: readonly PeerRecord[]; readonly invitations?: readonly Invitation[] },
): void {
  const { name, id, maxConnectedClusters = own.maxConnectedClusters } = candidate;
  const refuse = (code: PeerConflict, message: string, hint?: string): PeerConflictError =>
    new PeerConflictError(code, message, hint);
  if (name === 'default') throw refuse('NAME_RESERVED', 'A cluster of a mesh cannot be called "default"');
  if (name === own.name) throw refuse('NAME_IS_OURS', `${name} is the name of this cluster`);
  if (id === own.id) throw refuse('ID_IS_OURS', `${id} is the id of this cluster (${own.name})`);
  if (id < 1 || id > own.maxConnectedClusters)
    throw refuse('ID_RANGE', `Cluster id ${id} is not from 1 to ${own.maxConnectedClusters}`);
  if (maxConnectedClusters !== own.maxConnectedClusters)
    throw refuse(
      'MESH_SIZE_DIFFERS',
      `${name} is of a mesh of ${maxConnectedClusters} clusters, ${own.name} of one of ${own.maxConnectedClusters}`,
      'give all clusters the same --max-connected-clusters',
    );
  const named = known.peers.find((peer) => peer.name === name);
  if (named)
    throw refuse(
      'NAME_TAKEN',
      `${name} is a peer already${named.id === 0 ? '' : ` (id ${named.id})`}`,
      `isthmus peer leave ${name} ends that`,
    );
  const numbered = known.peers.find((peer) => peer.id === id);
  if (numbered) throw refuse('ID_TAKEN', `Cluster id ${id} is that of the peer ${numbered.name}`);
  const invited = known.invitations?.find((one) => one.clusterId === id && one.name !== name);
  if (invited) throw refuse('ID_TAKEN', `Cluster id ${id} was promised to ${invited.name}, which is invited`);
}

/**
 * Whose authorities are spoken for, by their keys: of one key there may be many certificates, and by each it can be checked what the
 * key has signed. One that is declared speaks for one cluster: whatever it signs is that
 * peer. One that is ours, or another peer's, would make two users of one certificate, and the store reads no users file
 * that says so.
 */
export class AuthorityHolders {
  readonly #holders = new Map<string, string>();

  constructor(own: string, authorities: string) {
    for (const { keyHash } of keysIn(authorities)) this.#holders.set(keyHash, own);
  }

  /** Takes note of a peer, if it is a declared one. @throws {PeerConflictError} when somebody else has its authority */
  add({ name, kind, authorities = '' }: PeerRecord): void {
    if (kind !== 'declared') return;
    for (const { keyHash, fingerprint } of keysIn(authorities)) {
      const holder = this.#holders.get(keyHash) ?? name;
      if (holder !== name)
        throw new PeerConflictError(
          'AUTHORITY_TAKEN',
          `The authority of ${name} is that of ${holder}, too (SHA-256 ${fingerprint})`,
          `clusters of one authority are told apart by their certificates: isthmus peer invite ${name}`,
        );
      this.#holders.set(keyHash, name);
    }
  }
}

function keysIn(pem: string): readonly { readonly keyHash: string; readonly fingerprint: string }[] {
  return certificatesOf(Buffer.from(pem)).map(({ publicKey, fingerprint256 }) => ({
    keyHash: keyHashOf(publicKey),
    fingerprint: fingerprint256,
  }));
}

import type { RemoteClusterStatus } from '../remote/index.ts';
import type { Resource } from '../wire/index.ts';

/** State of one remote cluster whose data is copied: as an agent tells it (clustermesh-behaviour §13.3, §18), and what only a copier knows. */
export interface CachedClusterStatus extends Omit<RemoteClusterStatus, 'synced' | 'refused'> {
  readonly 'num-endpoint-slices': number;
  readonly synced: {
    readonly nodes: boolean;
    readonly endpoints: boolean;
    readonly identities: boolean;
    readonly services: boolean;
    readonly 'service-exports': boolean;
    readonly 'endpoint-slices': boolean;
  };
  /** Keys that are not in the cache although the remote has them, at present. */
  readonly refused: {
    readonly total: number;
    /** `not-allowed`: addresses outside of its `allowedCIDRs`; `store`: what the local store cannot take. */
    readonly reasons: { readonly 'not-allowed'?: number; readonly store?: number };
    readonly keys: readonly { readonly kind: Resource; readonly key: string; readonly reason: string }[];
  };
  /** Records that went with a lease of the remote and are kept for now. */
  readonly 'held-removals': number;
  /** Times that services were taken out of the cache because the remote was away for too long. */
  readonly 'cache-revocations': number;
  /** Keys that wait for the local store. */
  readonly queued: number;
  /** What an earlier life or another leader has copied is not counted yet; absent once it is. */
  readonly loading?: true;
  /** Agents do not take it: its id is also another cluster's, beyond the number of clusters, or none. */
  readonly conflict?: string;
}

/** A remote cluster that is no longer configured, and whose copies are being removed. */
export interface DrainStatus {
  readonly name: string;
  /** `waiting`: its configuration is gone, so that agents let go of it first; `failed`: given up, until the next start. */
  readonly phase: 'waiting' | 'removing' | 'failed';
  readonly failure?: string;
}

/** What `GET /v1/status` of a kvstoremesh shows. */
export interface KvstoreMeshStatus {
  readonly kvstoremesh: string;
  /** Whether this process is the one that writes; another one waits. */
  readonly leader: boolean;
  readonly ready: boolean;
  readonly waitingFor: readonly string[];
  readonly clusters: readonly CachedClusterStatus[];
  readonly draining: readonly DrainStatus[];
  /** What cannot be read at present, the directory of remote clusters: who is added or removed there is not noticed. Absent while it can. */
  readonly unread?: readonly { readonly object: string; readonly reason: string }[];
  /** Why nothing can be written into the local store at present: copies are from before. Absent while it can. */
  readonly unwritten?: string;
  readonly store: {
    readonly connected: boolean;
    readonly endpoint: string;
    readonly error?: string;
  };
}

export const syncedNames: Readonly<Record<Resource, keyof CachedClusterStatus['synced']>> = {
  nodes: 'nodes',
  ip: 'endpoints',
  identities: 'identities',
  services: 'services',
  serviceexports: 'service-exports',
  endpointslices: 'endpoint-slices',
};

/** As Cilium's kvstoremesh prints it: members in alphabetical order (clustermesh-behaviour §13.3). */
export function inAlphabeticalOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inAlphabeticalOrder);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, inAlphabeticalOrder(member)]),
  );
}

import type { StoreHealth } from '../../kvstore/index.ts';

/** Another store answers at the remote's address: nothing that it lists says what is gone before its marks are there. */
export class StoreChangedError extends Error {
  readonly code = 'CLUSTERMESH_STORE_CHANGED';

  constructor() {
    super('The content of the remote store was replaced');
    this.name = 'StoreChangedError';
  }
}

/** The remote is connected but has not shown a sign of life for too long. */
export class HeartbeatLostError extends Error {
  readonly code = 'CLUSTERMESH_HEARTBEAT_LOST';

  constructor(seconds: number) {
    super(`No heartbeat for ${seconds} seconds`);
    this.name = 'HeartbeatLostError';
  }
}

/** Nothing answered within the time that one attempt may take. */
export class ConnectTimeoutError extends Error {
  readonly code = 'CLUSTERMESH_CONNECT_TIMEOUT';
  /** Certificates were in the way all the while. */
  readonly distrusted: boolean;

  /** @param store what it says of itself: the reason, where it knows one */
  constructor(what: string, seconds: number, store: Pick<StoreHealth, 'error' | 'distrusted'>) {
    super(`${what} within ${seconds} seconds${store.error === undefined ? '' : `: ${store.error}`}`);
    this.distrusted = store.distrusted ?? false;
    this.name = 'ConnectTimeoutError';
  }
}

/** The remote store has no configuration for the name under which we look for it. */
export class ClusterConfigMissingError extends Error {
  readonly code = 'CLUSTERMESH_CONFIG_MISSING';

  constructor(cluster: string) {
    super(`The remote store has no cluster configuration for ${cluster}`);
    this.name = 'ClusterConfigMissingError';
  }
}

/**
 * The configuration that the cluster wrote of itself has gone from its store: its writer's lease has ended, and what else
 * goes is no sign that anybody has deleted it.
 */
export class LeaseLostError extends Error {
  readonly code = 'CLUSTERMESH_LEASE_LOST';

  constructor(cluster: string) {
    super(`The cluster configuration of ${cluster} has gone from its store: its writer has lost its lease`);
    this.name = 'LeaseLostError';
  }
}

/** The cluster says something else of itself than when the connection began: it has to begin anew. */
export class ConfigChangedError extends Error {
  readonly code = 'CLUSTERMESH_CONFIG_CHANGED';

  constructor(cluster: string) {
    super(`The cluster configuration of ${cluster} has changed`);
    this.name = 'ConfigChangedError';
  }
}

/**
 * What an operator can do about a failure; undefined when waiting is all.
 * @param store what it says of itself, where it does not answer and nothing else has failed
 */
export function hintFor(error: unknown, store?: Pick<StoreHealth, 'distrusted'>): string | undefined {
  if (error === undefined) return hintFor({ code: store?.distrusted ? 'TLS_PEER' : 'KVSTORE_UNAVAILABLE' });
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'KVSTORE_PERMISSION_DENIED':
      return 'Give this certificate or user the role "remote" in the remote store';
    case 'CLUSTERMESH_CONNECT_TIMEOUT':
      return hintFor(undefined, error instanceof ConnectTimeoutError && error.distrusted ? { distrusted: true } : {});
    case 'KVSTORE_UNAVAILABLE':
      return 'Check endpoints and network; what was learned before stays in use';
    case 'CLUSTERMESH_CONFIG_MISSING':
      return 'The file name must be the name that the remote cluster gives itself; its apiserver must run';
    case 'CLUSTERMESH_LEASE_LOST':
      return 'Start the remote apiserver (or the kvstoremesh that copies it); what was learned before stays in use for a while';
    case 'CLUSTERMESH_CANARIES_AWAITED':
      return 'isthmus status of the remote apiserver says what it waits for; isthmus troubleshoot looks from here';
    case 'KVSTOREMESH_OWN_STORE':
      return 'kvstoremesh needs a directory of its own, with the endpoints of the other clusters; that of agents leads to the copies';
    case 'CLUSTERMESH_PEER_POLICY':
      return 'Correct the file; what was learned before stays in use';
    case 'CLUSTERMESH_PEER_ID':
      return 'A cluster that changes its id leaves and joins again; what was learned before stays in use';
    case 'ETCD_CONFIG':
    case 'TLS_FILE':
      return 'Correct the configuration of this cluster, or the file that it names';
    case 'TLS_PEER':
      return 'isthmus troubleshoot shows both certificates';
    case 'CLUSTERMESH_ID_CONFLICT':
      return 'Every cluster of a mesh needs an id of its own';
    case 'CLUSTERMESH_HEARTBEAT_LOST':
      return 'The remote apiserver does not run, or its store is cut off';
    case 'CLUSTERMESH_INVALID_RECORD':
      return 'Correct the remote cluster’s configuration';
    default:
      return undefined;
  }
}

import type { Store } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import type { Logger } from '../../runtime/log/index.ts';
import type { MaxConnectedClusters } from '../../values/identity/index.ts';
import type { PeerConfig, PeerEvent } from '../peers/index.ts';
import type { ServiceMode } from './cached-config.ts';

export interface KvstoreMeshOptions {
  readonly clusterName: string;
  readonly clusterId: number;
  /** 255 unless told. */
  readonly maxConnectedClusters?: MaxConnectedClusters;
  /** Default `prefer-legacy`, as in Cilium 1.20. */
  readonly serviceMode?: ServiceMode;
  /** Services go from the cache when a remote has been away this long; 0, the default: never. */
  readonly cacheTtlMs?: number;
  /** What went with a lease of a remote is kept this long, unless it comes back; 0: for ever. Default 24 h. */
  readonly leaseLossGraceMs?: number;
  /** A remote that is not connected this long after the start holds readiness back no longer. Default 15 s. */
  readonly perClusterReadyTimeoutMs?: number;
  /** After this long the process is ready whatever is missing. Default 10 min. */
  readonly globalReadyTimeoutMs?: number;
  /** Whether we write the cluster's heartbeat, where no apiserver does. */
  readonly enableHeartbeat?: boolean;
  /** Leaves what was copied of a cluster that is no longer configured. */
  readonly disableDrainOnDisconnection?: boolean;
  /** Of the heartbeat only: copies have no lease, since the silence of a copier is no news of what it has copied. */
  readonly leaseTtlSeconds?: number;
  /** Connections at a time that are being made; 32 unless told. */
  readonly concurrentConnections?: number;
  /** Listings at a time, over all clusters; 16 unless told. */
  readonly concurrentSyncs?: number;
}

export interface KvstoreMeshDeps {
  /** The own cluster's store. */
  readonly store: Store;
  readonly openStore: (config: PeerConfig) => Store | Promise<Store>;
  /** Follows the configuration directory from its beginning, each time it is called. */
  readonly peers: (signal: AbortSignal) => AsyncIterable<PeerEvent>;
  readonly clock: Clock;
  readonly log: Logger;
}

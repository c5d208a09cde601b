export { ClusterIdConflictError, ClusterIds } from './cluster-ids.ts';
export { ClusterConfigMissingError, ConnectTimeoutError, HeartbeatLostError, StoreChangedError } from './errors.ts';
export { type RemoteKind, prefixOfKey, remoteKinds } from './kinds.ts';
export type { Refusal } from './refusals.ts';
export { RemoteCluster, type RemoteClusterDeps, type RemoteClusterOptions } from './remote-cluster.ts';
export { RemoteClusters, type RemoteClustersDeps, type RemoteClustersOptions } from './remote-clusters.ts';
export type { RemoteClusterStatus, RemoteConfigStatus } from './status.ts';
export { SyncSlots } from './sync-slots.ts';

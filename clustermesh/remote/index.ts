export { type WentKey, suspects, wentWithLease } from './went-with-lease.ts';
export { ClusterIdConflictError, ClusterIds } from './cluster-ids.ts';
export {
  ClusterConfigMissingError,
  ConfigChangedError,
  ConnectTimeoutError,
  HeartbeatLostError,
  LeaseLostError,
  StoreChangedError,
  hintFor,
} from './errors.ts';
export { type CopyState, judgeCopyReport } from './copy-report-reader.ts';
export { CopyReports, type CopyReportsDeps } from './copy-reports.ts';
export { Heartbeat } from './heartbeat.ts';
export { heartbeatLimitMs } from './last-beat.ts';
export { type LiveStoreOptions, withLiveStore } from './live-store.ts';
export { misreadOf } from './misread.ts';
export { type FoundClusterConfig, type ReadClusterConfigOptions, findClusterConfig } from './read-cluster-config.ts';
export { type RemoteKind, remoteKinds } from './kinds.ts';
export type { Refusal } from './refusals.ts';
export { RemoteCluster, type RemoteClusterDeps, type RemoteClusterOptions } from './remote-cluster.ts';
export { RemoteClusters, type RemoteClustersDeps, type RemoteClustersOptions } from './remote-clusters.ts';
export {
  type RemoteCertificate,
  type RemoteClusterStatus,
  type RemoteConfigStatus,
  configStatus,
  neverFailed,
} from './status.ts';
export { type AwaitedSet, SetsAwaitedError } from './sets-awaited.ts';
export { SyncSlots } from './sync-slots.ts';
export { FeedSource } from './feed-source.ts';
export { SyncMarks } from './sync-marks.ts';

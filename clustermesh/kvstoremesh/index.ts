export { type ServiceMode, serviceModes } from './cached-config.ts';
export { LeadershipLostError } from './errors.ts';
export { KvstoreMesh, leaderLock } from './kvstore-mesh.ts';
export { kvstoreMeshMetrics } from './metrics.ts';
export type { KvstoreMeshDeps, KvstoreMeshOptions } from './options.ts';
export { type CachedClusterStatus, type DrainStatus, type KvstoreMeshStatus, inAlphabeticalOrder } from './status.ts';

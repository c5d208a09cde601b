export { type SyncStoreOptions, type SyncableStore, SyncStore } from './sync-store.ts';
export type { SyncMetrics } from './sync-metrics.ts';

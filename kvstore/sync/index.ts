export { type SyncStoreOptions, type SyncableStore, SyncStore } from './sync-store.ts';
export type { SyncMetrics } from './sync-metrics.ts';
export { LeasePool, type LeasePoolOptions, type LeaseSlot } from './lease-pool.ts';

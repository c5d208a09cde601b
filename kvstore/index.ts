export * from './contract/index.ts';
export {
  type WatchObserver,
  type WatchStoreCounts,
  type WatchStoreOptions,
  type WatchableStore,
  WatchStore,
} from './watch/index.ts';
export { type SyncMetrics, type SyncStoreOptions, type SyncableStore, SyncStore } from './sync/index.ts';

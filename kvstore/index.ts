export * from './contract/index.ts';
export {
  type WatchObserver,
  type WatchStoreCounts,
  type WatchStoreOptions,
  type WatchableStore,
  WatchStore,
} from './watch/index.ts';
export { type SyncMetrics, type SyncStoreOptions, type SyncableStore, SyncStore } from './sync/index.ts';
export { type EmbeddedEngineOptions, StoreDirectoryError, openEmbeddedEngine } from './embedded/index.ts';
export { type AutoCompaction, EngineStore, type EngineStoreDependencies } from './engine/index.ts';
export { MemoryEngine, type MemoryEngineOptions } from './memory/index.ts';
export {
  type AllocatorStore,
  IdentityAllocator,
  type IdentityAllocatorOptions,
  RangeExhaustedError,
} from './allocator/index.ts';

export type { RowObserver, WatchObserver } from './watch-observer.ts';
export { type WatchStoreCounts, type WatchStoreOptions, type WatchableStore, WatchStore } from './watch-store.ts';

export { measureStore } from './measured-store.ts';
export { type EventAction, type StoreMetrics, type StoreOperation, storeMetrics } from './store-metrics.ts';

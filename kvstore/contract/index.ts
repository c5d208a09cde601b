export { prefixEnd, toBytes, toText } from './bytes.ts';
export * from './engine.ts';
export * from './errors.ts';
export type { StoreHealth } from './health.ts';
export type { Lease, LeaseOptions, Lock, LockOptions } from './lease.ts';
export type * from './key-value.ts';
export type * from './store.ts';
export type * from './transaction.ts';
export type * from './watch.ts';

export { type StoreTraits, describeStore } from './describe-store.ts';
export type { Breakable, Disturb, Disturbance, Guarded, OpenStore, OpenedStore, StorePromises } from './ports.ts';

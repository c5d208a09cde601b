export { ConsulStore, openConsulStore } from './consul-store.ts';
export type { ConsulStoreOptions } from './options.ts';

export { ConsulAdmin, type ConsulAdminOptions, type ConsulBootstrap } from './admin.ts';
export { ConsulStore, openConsulStore } from './consul-store.ts';
export type { ConsulStoreOptions } from './options.ts';

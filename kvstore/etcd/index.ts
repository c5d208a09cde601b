export { type EtcdConfig, EtcdConfigError, parseEtcdConfig } from './config.ts';
export { EtcdStore, type EtcdStoreOptions, openEtcdStore } from './etcd-store.ts';
export type { EtcdTarget, TlsFiles } from './session/index.ts';

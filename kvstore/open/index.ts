export {
  type StoreAddress,
  StoreAddressError,
  type StoreKind,
  formatStoreAddress,
  parseStoreAddress,
  storeAddressOf,
  storeKinds,
} from './store-address.ts';
export { type ConsulConfig, ConsulConfigError, parseConsulConfig } from './consul-config.ts';
export type { StoreStatus } from './store-status.ts';
export {
  type EtcdAdministered,
  type OpenStore,
  type OpenStoreDependencies,
  type OpenStoreOptions,
  openEtcdAdminAt,
  openStore,
} from './open-store.ts';

export { ClusterStores, type LabStoreKind, labStoreKinds } from './cluster-stores.ts';
export { StoreBinaryError, findStoreBinary } from './find-binary.ts';
export { type StoreSwitch, type StoreSwitchDependencies, switchStore } from './switch-store.ts';
export { startStoreServer } from './store-server.ts';

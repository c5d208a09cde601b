export * from './contract/index.ts';
export {
  type AutoCompaction,
  EngineStore,
  type EngineStoreDependencies,
  compactAutomatically,
} from './engine/index.ts';
export {
  type DirectoryProblem,
  type EmbeddedEngineOptions,
  StoreDirectoryError,
  openEmbeddedEngine,
} from './embedded/index.ts';
export { MemoryEngine, type MemoryEngineOptions } from './memory/index.ts';
export {
  type RowObserver,
  type WatchObserver,
  type WatchStoreCounts,
  type WatchStoreOptions,
  type WatchableStore,
  WatchStore,
} from './watch/index.ts';
export {
  type EventAction,
  type StoreMetrics,
  type StoreOperation,
  measureStore,
  storeMetrics,
} from './measured/index.ts';
export { type ClaimTermOptions, type Fence, claimTerm, fencedStore } from './fenced/index.ts';
export {
  LeasePool,
  type LeaseSlot,
  type SyncMetrics,
  type SyncStoreOptions,
  type SyncableStore,
  SyncStore,
} from './sync/index.ts';
export {
  type AccessStep,
  type AccessUser,
  type EtcdAccessState,
  EtcdAdmin,
  type EtcdAdminOptions,
  type EtcdConfig,
  EtcdConfigError,
  EtcdStore,
  type EtcdStoreOptions,
  type EtcdTarget,
  type EtcdTuning,
  EtcdTuningError,
  type EtcdUser,
  type RequestLimits,
  type TlsFiles,
  accessSteps,
  etcdAccessOf,
  etcdctlCommand,
  etcdTuningOptions,
  openEtcdAdmin,
  openEtcdStore,
  parseEtcdConfig,
  unverifiedMeans,
  warnIfUnverified,
  parseEtcdTuning,
  takeAccessStep,
} from './etcd/index.ts';
export { ProtoReader, ProtoWriter, wireType } from './etcd/wire/index.ts';
export {
  ConsulAdmin,
  type ConsulAdminOptions,
  type ConsulBootstrap,
  ConsulStore,
  type ConsulStoreOptions,
  openConsulStore,
} from './consul/index.ts';
export {
  type CompareOptions,
  type Comparison,
  type Difference,
  type DifferenceKind,
  type MirrorDependencies,
  type MirrorOptions,
  type MirrorProgress,
  SourceReplacedError,
  compareStores,
  copiesPrefix,
  mirror,
} from './copy/index.ts';
export {
  type ConsulConfig,
  ConsulConfigError,
  type EtcdAdministered,
  type OpenStore,
  type OpenStoreDependencies,
  type OpenStoreOptions,
  type StoreAddress,
  StoreAddressError,
  type StoreKind,
  type StoreStatus,
  formatStoreAddress,
  openEtcdAdminAt,
  openStore,
  parseConsulConfig,
  parseStoreAddress,
  storeAddressOf,
  storeKinds,
} from './open/index.ts';
export {
  RestoreDirectoryError,
  type RestoreOptions,
  type RestoredStore,
  SnapshotFileError,
  type SnapshotHeader,
  type WriteSnapshotOptions,
  type WrittenSnapshot,
  restoreSnapshot,
  writeSnapshot,
} from './snapshot/index.ts';
export {
  type Access,
  type AuthFile,
  AuthFileError,
  type AuthFiles,
  type BuiltInUsers,
  type Identity,
  type Permission,
  Rights,
  type Role,
  Users,
  type UsersOptions,
  permitKey,
  permitPrefix,
  permitRange,
  readUsersFile,
  rootRole,
} from './auth/index.ts';
export { ReadMirror, type ReadMirrorOptions, type ReadMirrorStatus, ReadOnlyEngine } from './mirror/index.ts';
export {
  type EtcdServer,
  type ListenAddress,
  type ServeEtcdOptions,
  type ServeLimits,
  type ServeTlsOptions,
  serveEtcd,
} from './etcd/serve/index.ts';
export {
  type AllocatorStore,
  type HoldersOptions,
  IdentityAllocator,
  type IdentityAllocatorOptions,
  type NumberConflict,
  NumberHolder,
  type NumberHolderOptions,
  RangeExhaustedError,
  type Reference,
  type Said,
  listReferences,
  referenceKey,
  textDigest,
} from './allocator/index.ts';
export { BytePool, type Column, type IndexedRows, RowIndex, mixed, roomFor, widened } from './tables/index.ts';

export { type EtcdConfig, EtcdConfigError, parseEtcdConfig } from './config.ts';
export { unverifiedMeans, warnIfUnverified } from './unverified.ts';
export { EtcdStore, type EtcdStoreOptions, openEtcdStore } from './etcd-store.ts';
export type { TlsFiles } from '../../runtime/tls/index.ts';
export type { EtcdTarget, RequestLimits } from './session/index.ts';
export { type EtcdTuning, EtcdTuningError, etcdTuningOptions, parseEtcdTuning } from './tuning.ts';
export {
  EtcdAdmin,
  type EtcdAccess,
  type EtcdAdminOptions,
  type EtcdLeadership,
  type EtcdMember,
  type EtcdPermission,
  type EtcdRole,
  type EtcdUser,
  openEtcdAdmin,
} from './admin.ts';
export {
  type AccessStep,
  type AccessUser,
  type EtcdAccessState,
  accessSteps,
  etcdAccessOf,
  etcdctlCommand,
  takeAccessStep,
} from './access/index.ts';

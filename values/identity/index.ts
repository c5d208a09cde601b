export {
  type MaxConnectedClusters,
  clusterIdOf,
  firstAllocatableIdentity,
  identityRange,
  isLocalScope,
  reservedIdentities,
} from './numeric-identity.ts';

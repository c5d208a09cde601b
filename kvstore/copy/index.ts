export {
  type MirrorDependencies,
  type MirrorOptions,
  type MirrorProgress,
  SourceReplacedError,
  mirror,
} from './mirror.ts';
export {
  type CompareOptions,
  type Comparison,
  type Difference,
  type DifferenceKind,
  compareStores,
} from './differences.ts';
export { copiesPrefix, isCopyRecord } from './copier-leases.ts';
export { isLock } from './lock-keys.ts';

export type * from './object-meta.ts';
export type * from './objects.ts';
export type * from './cilium.ts';
export type * from './source-observer.ts';
export {
  type FollowedKinds,
  type SourceMode,
  followedKinds,
  isClusterScoped,
  isKubernetesKind,
  kubernetesKinds,
} from './kinds.ts';
export { type Subject, mayDescribe } from './may-describe.ts';

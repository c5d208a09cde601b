export { LabArgumentError } from './argument-error.ts';
export { type CutLink, CutLinks } from './cut-links.ts';
export {
  type LabNamespace,
  buildBridge,
  connectMember,
  connectPod,
  makeNamespace,
  plannedNamespaces,
  podMtu,
} from './build.ts';
export {
  type MemberPlan,
  type NetworkPlan,
  type PodWire,
  type SitePlan,
  isLabName,
  membersOf,
  planNetwork,
  podWire,
} from './plan.ts';
export { ForeignNamespaceError, requireUnmade } from './foreign-namespace.ts';

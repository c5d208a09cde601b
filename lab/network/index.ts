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
  labNamePattern,
  membersOf,
  planNetwork,
  podWire,
} from './plan.ts';

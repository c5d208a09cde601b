export { type ServiceMode, serviceModes } from './service-mode.ts';
export { InvalidRecordError, type RecordFault } from './invalid-record.ts';
export {
  type Layout,
  type OwnKind,
  type Resource,
  basePrefix,
  cacheKeyOf,
  cachePrefix,
  clusterConfigKey,
  clusterConfigPrefix,
  copierAliveKey,
  copierPrefix,
  copyReportKey,
  copyReportsPrefix,
  endpointSliceKey,
  heartbeatKey,
  heldNumbersKey,
  heldNumbersPrefix,
  restingNumbersPrefix,
  identityQuestionKey,
  hiddenIdentityPrefix,
  hiddenIpPrefix,
  identityKey,
  identityReferencePrefix,
  ipKey,
  leaderKey,
  termKey,
  localEndpointsKey,
  localServiceKey,
  namespaceKey,
  nodeAssignmentKey,
  nodeKey,
  ownKindPrefix,
  ownKinds,
  ownPrefix,
  ownSetKey,
  ownSetPrefix,
  ownSyncedKey,
  ownSyncedPrefix,
  policyKey,
  resources,
  serviceExportKey,
  serviceKey,
  statePrefix,
  syncedKey,
  syncedName,
  syncedPrefix,
  watchPrefix,
  workloadKey,
  workloadsPrefix,
} from './keys.ts';
export type { Encoded } from './object-reader.ts';
export type {
  ClusterConfigRecord,
  ClusterServiceRecord,
  CopyReportRecord,
  EndpointSliceRecord,
  EndpointSlicesExportMode,
  HeldNumber,
  HeldNumbersRecord,
  RememberedNumber,
  IdentityRecord,
  IpFamily,
  IpRecord,
  LocalEndpoint,
  LocalEndpointsRecord,
  LocalServiceRecord,
  NamedPort,
  NamespaceRecord,
  NodeAddress,
  NodeAssignmentRecord,
  NodeRecord,
  PolicyRecord,
  PortConfiguration,
  ServiceExportRecord,
  SliceEndpoint,
  SlicePort,
  WorkloadRecord,
} from './records.ts';
export { type RemoteOrigin, isClusterName } from './remote-origin.ts';
export { checkClusterConfig, decodeClusterConfig, encodeClusterConfig, exportedForms } from './cluster-config.ts';
export { decodeNode, encodeNode, keyOfNode } from './node.ts';
export { decodeIp, encodeIp, identityBelongs, keyOfIp, suffixOfIp } from './ip.ts';
export { IpScanner, suffixText } from './ip-scanner.ts';
export {
  clusterLabel,
  decodeIdentity,
  decodeIdentityId,
  encodeIdentity,
  identityIdIn,
  keyOfIdentity,
} from './identity.ts';
export { decodeService, encodeService, keyOfService } from './service.ts';
export { decodeEndpointSlice, encodeEndpointSlice, keyOfEndpointSlice } from './endpoint-slice.ts';
export { decodeServiceExport, encodeServiceExport, keyOfServiceExport } from './service-export.ts';
export { decodeTime, encodeTime } from './time-mark.ts';
export { decodeCopyReport, encodeCopyReport, keyOfCopyReport } from './own/copy-report.ts';
export { decodeLocalService, encodeLocalService, keyOfLocalService } from './own/local-service.ts';
export { decodeLocalEndpoints, encodeLocalEndpoints, keyOfLocalEndpoints } from './own/local-endpoints.ts';
export { decodeHeldNumbers, encodeHeldNumbers, keyOfHeldNumbers } from './own/held-numbers.ts';
export { decodeNamespace, encodeNamespace, keyOfNamespace } from './own/namespace.ts';
export { decodeNodeAssignment, encodeNodeAssignment, keyOfNodeAssignment } from './own/node-assignment.ts';
export { decodePolicy, encodePolicy, keyOfPolicy } from './own/policy.ts';
export { decodeWorkload, encodeWorkload, keyOfWorkload } from './own/workload.ts';

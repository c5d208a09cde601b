export { Apiserver, runApiserver } from './apiserver.ts';
export { ApiserverReplica, type ReplicaStatus } from './replica.ts';
export { type ApiserverOptions, type ServiceV2Mode, serviceV2Modes } from './options.ts';
export type { ApiserverStatus } from './status.ts';
export { clusterServiceOf } from './convert/cluster-service.ts';
export { identityLabelsOf } from './convert/identity-labels.ts';
export { isGlobalNamespace } from './convert/annotations.ts';
export { type LabelFilter, labelFilter } from './convert/label-filter.ts';

export { Apiserver, runApiserver } from './apiserver.ts';
export type { ApiserverOptions } from './options.ts';
export type { ApiserverStatus } from './status.ts';
export { clusterServiceOf } from './convert/cluster-service.ts';
export { identityLabelsOf } from './convert/identity-labels.ts';
export { isGlobalNamespace } from './convert/annotations.ts';

export type { ClusterRecords, IpRow, IpRowRules, MeshChanges, MeshView, MeshWriter, RefusedIp } from './mesh-view.ts';
export type { Origin, Sourced } from './origin.ts';
export { type MeshViewOptions, createMeshView, nodeKeyOf } from './view.ts';
export { ChangeLog } from './change-log.ts';
export { VersionSource } from './version-source.ts';
export { tunnelEndpointOf } from './tunnel-endpoint.ts';
export { prefixOfKey } from './prefix-of-key.ts';

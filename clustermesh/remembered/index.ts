export type { ClusterContent, Recollection, RememberedCluster, RememberedRecord } from './remembered-cluster.ts';
export { RememberedClusters, type RememberedClustersOptions } from './remembered-clusters.ts';
export { type KeepDeps, type Rememberable, keepRemembered } from './keep-remembered.ts';

export { LocalCluster, type LocalClusterDeps } from './local-cluster.ts';
export { type LocalFeed, type LocalKind, type LocalSinks, localFeeds } from './local-feeds.ts';

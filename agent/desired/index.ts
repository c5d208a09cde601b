export { type AttachedEndpoint, endpointEntry, hostEntry } from './endpoints.ts';
export { type PrefixKnowledge, ipcacheEntry } from './ipcache.ts';
export { type NodePrefix, type NodeRole, NodePrefixes, prefixesOf } from './node-prefixes.ts';
export { type OwnNode, ownNodeKey } from './own-node.ts';
export { NodeRoutes } from './routes.ts';
export { serviceEntries } from './services.ts';

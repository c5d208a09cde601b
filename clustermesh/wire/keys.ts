/**
 * Key text (kvstore-schema §1). In the `state` layout a cluster writes of itself; in the `cache` layout its kvstoremesh
 * copies what it read of others, by cluster.
 */
export type Layout = 'state' | 'cache';

export const basePrefix = 'cilium';
export const statePrefix = 'cilium/state';
export const cachePrefix = 'cilium/cache';
export const heartbeatKey = 'cilium/.heartbeat';
export const clusterConfigPrefix = 'cilium/cluster-config/';

/** Resources that have a canary of their own; the word is the path segment. */
export type Resource = 'nodes' | 'services' | 'serviceexports' | 'ip' | 'identities' | 'endpointslices';

export function clusterConfigKey(cluster: string): string {
  return clusterConfigPrefix + segment(cluster);
}

/** Prefix of all canaries of a cluster: `cilium/synced/<C>/`. */
export function syncedPrefix(cluster: string): string {
  return `cilium/synced/${segment(cluster)}/`;
}

/** What follows {@link syncedPrefix} in the canary's key, e.g. `cilium/state/ip/v1`. */
export function syncedName(resource: Resource, layout: Layout = 'state'): string {
  return `cilium/${layout}/${resource}/v1`;
}

/** Exists once every key of the resource's first listing is stored (kvstore-schema §3). */
export function syncedKey(cluster: string, resource: Resource, layout: Layout = 'state'): string {
  return syncedPrefix(cluster) + syncedName(resource, layout);
}

/**
 * Where a resource of a cluster is listed and watched, with its trailing slash (kvstore-schema §1.1). Two asymmetries:
 * in `state` the addresses live under the literal `default` and identities under no cluster at all.
 */
export function watchPrefix(resource: Resource, cluster: string, layout: Layout = 'state'): string {
  if (resource === 'ip') return `cilium/${layout}/ip/v1/${layout === 'state' ? 'default' : segment(cluster)}/`;
  if (resource === 'identities')
    return `cilium/${layout}/identities/v1/${layout === 'state' ? '' : `${segment(cluster)}/`}id/`;
  return `cilium/${layout}/${resource}/v1/${segment(cluster)}/`;
}

export function nodeKey(cluster: string, node: string): string {
  return watchPrefix('nodes', cluster) + segment(node);
}

/** `address` is the canonical text of a host, or `address/length` of a block. */
export function ipKey(address: string): string {
  return watchPrefix('ip', '-') + address;
}

export function identityKey(id: number): string {
  return watchPrefix('identities', '-') + id;
}

export function serviceKey(cluster: string, namespace: string, name: string): string {
  return `${watchPrefix('services', cluster)}${segment(namespace)}/${segment(name)}`;
}

export function serviceExportKey(cluster: string, namespace: string, name: string): string {
  return `${watchPrefix('serviceexports', cluster)}${segment(namespace)}/${segment(name)}`;
}

/** `name` is that of the EndpointSlice, not of its Service (kvstore-schema §16.3). */
export function endpointSliceKey(cluster: string, namespace: string, name: string): string {
  return `${watchPrefix('endpointslices', cluster)}${segment(namespace)}/${segment(name)}`;
}

/** The key under which kvstoremesh stores a cluster's copy; a key outside `cilium/state` stays as it is. */
export function cacheKeyOf(stateKey: string, cluster: string): string {
  for (const resource of resources) {
    const from = watchPrefix(resource, cluster);
    if (stateKey.startsWith(from)) return watchPrefix(resource, cluster, 'cache') + stateKey.slice(from.length);
  }
  return stateKey.startsWith(`${statePrefix}/`) ? cachePrefix + stateKey.slice(statePrefix.length) : stateKey;
}

/** All of them: six canaries a cluster (kvstore-schema §3, §16.3). */
export const resources: readonly Resource[] = [
  'nodes',
  'services',
  'serviceexports',
  'ip',
  'identities',
  'endpointslices',
];

/** Kinds of records of our own, as in `isthmus/v1/<kind>/…`. */
export type OwnKind = 'services' | 'endpoints' | 'namespaces' | 'nodes' | 'policies' | 'workloads';
export const ownKinds: readonly OwnKind[] = ['services', 'endpoints', 'namespaces', 'nodes', 'policies', 'workloads'];

/** Everything that Cilium's schema has no key for. Remote clusters never read it. */
export const ownPrefix = 'isthmus/v1/';

export function ownKindPrefix(kind: OwnKind): string {
  return `${ownPrefix}${kind}/`;
}

/** Addresses and identities of namespaces that are not global: in the form of `cilium/state`, for this cluster alone. */
export const hiddenIpPrefix = `${ownPrefix}ip/`;
export const hiddenIdentityPrefix = `${ownPrefix}identities/`;

/** Says which of several processes does some work of the cluster (`apiserver`). */
/** Written by each leader when its term begins: what is written in a term compares its revision. */
export function termKey(work: string): string {
  return leaderKey(`${work}.term`);
}

export function leaderKey(work: string): string {
  return `${ownPrefix}leader/${segment(work)}`;
}

/** Who refers to an identity in Cilium's kvstore mode: `<labels>/<node>` → number (kvstore-schema §4.4). */
export const identityReferencePrefix = `${statePrefix}/identities/v1/value/`;

export const ownSyncedPrefix = `${ownPrefix}synced/`;
export const ownSetPrefix = `${ownPrefix}own-set/`;
export const heldNumbersPrefix = `${ownPrefix}held/`;

/** An apiserver that begins asks here, in a word of its own, which identities are in use. */
export const identityQuestionKey = `${ownPrefix}question/identities`;

/** Which deleted identities rest, and until when: no other labels get such a number. */
export const restingNumbersPrefix = `${ownPrefix}resting/`;

/** What the kvstoremesh that leads says of the clusters that it copies, and (`alive`) that it still does. */
export const copierPrefix = `${ownPrefix}kvstoremesh/`;
export const copyReportsPrefix = `${copierPrefix}remotes/`;
export const copierAliveKey = `${copierPrefix}alive`;

export function copyReportKey(cluster: string): string {
  return copyReportsPrefix + segment(cluster);
}

/** Exists once the kind was really listed and every record of it is stored. */
export function ownSyncedKey(kind: OwnKind): string {
  return ownSyncedPrefix + kind;
}

/** A node's agent says here that all its address keys are written. */
export function ownSetKey(node: string): string {
  return ownSetPrefix + segment(node);
}

/** A node's agent says here which identities its endpoints have, and what they mean. */
export function heldNumbersKey(node: string): string {
  return heldNumbersPrefix + segment(node);
}

export function localServiceKey(namespace: string, name: string): string {
  return `${ownKindPrefix('services')}${segment(namespace)}/${segment(name)}`;
}

export function localEndpointsKey(namespace: string, service: string, slice: string): string {
  return `${ownKindPrefix('endpoints')}${segment(namespace)}/${segment(service)}/${segment(slice)}`;
}

export function namespaceKey(name: string): string {
  return ownKindPrefix('namespaces') + segment(name);
}

export function nodeAssignmentKey(node: string): string {
  return ownKindPrefix('nodes') + segment(node);
}

/** @param scope the policy's namespace, or `_`. */
export function policyKey(kind: string, scope: string, name: string): string {
  return `${ownKindPrefix('policies')}${segment(kind)}/${segment(scope)}/${segment(name)}`;
}

/** All workloads of one node. */
export function workloadsPrefix(node: string): string {
  return `${ownKindPrefix('workloads')}${segment(node)}/`;
}

export function workloadKey(node: string, namespace: string, name: string): string {
  return `${workloadsPrefix(node)}${segment(namespace)}/${segment(name)}`;
}

/** One path segment. Cilium joins paths, so that empty ones and dots would make another key than meant. */
function segment(text: string): string {
  if (text === '' || text === '.' || text === '..' || text.includes('/'))
    throw new RangeError(`A key segment is not empty, not "." or ".." and has no "/": ${JSON.stringify(text)}`);
  return text;
}

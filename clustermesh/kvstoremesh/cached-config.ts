import type { ClusterConfigRecord, Resource, ServiceMode } from '../wire/index.ts';

export { type ServiceMode, serviceModes } from '../wire/index.ts';

/** What is copied of a remote cluster, in the order in which it is asked for. */
export const cachedResources: readonly Resource[] = [
  'nodes',
  'services',
  'serviceexports',
  'endpointslices',
  'ip',
  'identities',
];

/** What the local store says of a remote cluster: its own words, but that its data lies in the cache and has canaries (§2). */
export function cachedConfig(remote: ClusterConfigRecord): ClusterConfigRecord {
  return { ...remote, syncedCanaries: true, cached: true };
}

/**
 * Whether a resource is copied (clustermesh-behaviour §8.3, kvstore-schema §16.2). One that is not is emptied in the cache and
 * counts as complete at once.
 */
export function isReflected(resource: Resource, remote: ClusterConfigRecord, mode: ServiceMode): boolean {
  const { endpointSlicesExportMode = '', serviceExportsEnabled } = remote;
  switch (resource) {
    case 'serviceexports':
      return serviceExportsEnabled !== undefined;
    case 'endpointslices':
      return endpointSlicesExportMode !== '';
    case 'services':
      return endpointSlicesExportMode !== 'endpointslices-only' && mode !== 'only-endpointslice';
    case 'nodes':
    case 'ip':
    case 'identities':
      return true;
  }
}

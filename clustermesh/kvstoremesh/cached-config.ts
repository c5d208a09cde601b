import { type ClusterConfigRecord, type Resource } from '../wire/index.ts';

/** Which form of backends this cluster's processes read (kvstore-schema §16.2, `--clustermesh-service-v2`). */
export type ServiceMode = 'prefer-legacy' | 'prefer-endpointslice' | 'only-endpointslice';
export const serviceModes: readonly ServiceMode[] = ['prefer-legacy', 'prefer-endpointslice', 'only-endpointslice'];

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

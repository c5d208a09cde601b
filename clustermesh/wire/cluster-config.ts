import type { MaxConnectedClusters } from '../../values/identity/index.ts';
import { goJson, omitEmpty, struct } from './go-json.ts';
import { InvalidRecordError } from './invalid-record.ts';
import { clusterConfigKey } from './keys.ts';
import { type Encoded, ObjectReader } from './object-reader.ts';
import type { ClusterConfigRecord, EndpointSlicesExportMode } from './records.ts';

/** `cilium/cluster-config/<C>` (kvstore-schema §2). */
export function encodeClusterConfig(record: ClusterConfigRecord): string {
  const capabilities = struct(
    ['syncedCanaries', omitEmpty(record.syncedCanaries)],
    ['cached', omitEmpty(record.cached)],
    ['maxConnectedClusters', omitEmpty(record.maxConnectedClusters ?? 0)],
    ['serviceExportsEnabled', record.serviceExportsEnabled],
    ['endpointSlicesExportMode', omitEmpty(record.endpointSlicesExportMode ?? '')],
  );
  return goJson(struct(['id', omitEmpty(record.id)], ['capabilities', capabilities]));
}

/** @throws {InvalidRecordError} `key` is for the message. */
export function decodeClusterConfig(key: string, value: Encoded): ClusterConfigRecord {
  const reader = ObjectReader.parse(key, value);
  const capabilities = reader.object('capabilities');
  const maxConnectedClusters = capabilities.uint('maxConnectedClusters', 32);
  const endpointSlicesExportMode = capabilities.text('endpointSlicesExportMode');
  return {
    id: reader.uint('id', 32),
    syncedCanaries: capabilities.boolean('syncedCanaries'),
    cached: capabilities.boolean('cached'),
    ...(maxConnectedClusters === 0 ? {} : { maxConnectedClusters }),
    ...(capabilities.has('serviceExportsEnabled')
      ? { serviceExportsEnabled: capabilities.boolean('serviceExportsEnabled') }
      : {}),
    ...(endpointSlicesExportMode === '' ? {} : { endpointSlicesExportMode }),
  };
}

/**
 * The rules of an agent that is about to follow a cluster (kvstore-schema §2, §16.1): without them the mesh would mix up
 * identities. @throws {InvalidRecordError} whose message an operator can act on.
 */
export function checkClusterConfig(
  cluster: string,
  record: ClusterConfigRecord,
  local: { readonly clusterId: number; readonly maxConnectedClusters?: MaxConnectedClusters },
): void {
  const key = clusterConfigKey(cluster);
  const max = local.maxConnectedClusters ?? 255;
  if (record.id === 0 || record.id > max) throw new InvalidRecordError(key, 'id', `from 1 to ${max}`, record.id);
  if (record.id === local.clusterId)
    throw new InvalidRecordError(key, 'id', 'another id than that of the local cluster', record.id);
  if (max === 511 && record.maxConnectedClusters !== 511)
    throw new InvalidRecordError(
      key,
      'capabilities.maxConnectedClusters',
      `the local cluster's 511`,
      record.maxConnectedClusters,
    );
  const mode = record.endpointSlicesExportMode;
  if (mode !== undefined && !isExportMode(mode))
    throw new InvalidRecordError(
      key,
      'capabilities.endpointSlicesExportMode',
      'absent, "services-and-endpointslices" or "endpointslices-only"',
      mode,
    );
}

/** Whether a cluster writes ClusterService records, and whether it writes EndpointSlice records (kvstore-schema §16.1). */
export function exportedForms(record: Pick<ClusterConfigRecord, 'endpointSlicesExportMode'>): {
  readonly services: boolean;
  readonly endpointSlices: boolean;
} {
  const mode = record.endpointSlicesExportMode ?? '';
  return { services: mode !== 'endpointslices-only', endpointSlices: mode !== '' };
}

function isExportMode(word: string): word is EndpointSlicesExportMode {
  return word === 'services-and-endpointslices' || word === 'endpointslices-only';
}

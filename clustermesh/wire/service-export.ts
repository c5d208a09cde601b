import { goJson, omitEmpty, stringMap, struct } from './go-json.ts';
import { serviceExportKey } from './keys.ts';
import { type Encoded, ObjectReader } from './object-reader.ts';
import type { ServiceExportRecord } from './records.ts';
import type { RemoteOrigin } from './remote-origin.ts';
import { decodeTime, encodeTime } from './time-mark.ts';

export function keyOfServiceExport(record: Pick<ServiceExportRecord, 'cluster' | 'namespace' | 'name'>): string {
  return serviceExportKey(record.cluster, record.namespace, record.name);
}

/**
 * `cilium/state/serviceexports/v1/<C>/<ns>/<name>` (kvstore-schema §8). Labels and annotations are written twice: Cilium
 * before 1.19 reads the capital spelling.
 */
export function encodeServiceExport(record: ServiceExportRecord): string {
  const annotations = omitEmpty(stringMap(record.annotations));
  const labels = omitEmpty(stringMap(record.labels));
  const timeout = record.sessionAffinityTimeoutSeconds;
  return goJson(
    struct(
      ['cluster', record.cluster],
      ['name', record.name],
      ['namespace', record.namespace],
      ['annotations', annotations],
      ['labels', labels],
      ['Labels', labels],
      ['Annotations', annotations],
      ['exportCreationTimestamp', encodeTime(record.exportCreationMs)],
      [
        'ports',
        record.ports.map(({ name, protocol, appProtocol, port }) =>
          struct(
            ['name', omitEmpty(name ?? '')],
            ['protocol', omitEmpty(protocol ?? '')],
            ['appProtocol', appProtocol],
            ['port', port],
          ),
        ),
      ],
      ['type', record.type],
      ['sessionAffinity', record.sessionAffinity],
      [
        'sessionAffinityConfig',
        timeout === undefined ? undefined : struct(['clientIP', struct(['timeoutSeconds', timeout])]),
      ],
      ['ipFamilies', omitEmpty(record.ipFamilies)],
      ['internalTrafficPolicy', record.internalTrafficPolicy],
      ['trafficDistribution', record.trafficDistribution],
    ),
  );
}

/**
 * @param suffix the key's part after the cluster: `<namespace>/<name>`.
 * @param origin the cluster that the record must come from (the record has no cluster id to check).
 * @throws {InvalidRecordError} also for a word that no list of kvstore-schema §8 has.
 */
export function decodeServiceExport(suffix: string, value: Encoded, origin?: RemoteOrigin): ServiceExportRecord {
  const reader = ObjectReader.parse(`cilium/state/serviceexports/v1/${origin?.cluster ?? '*'}/${suffix}`, value);
  const affinity = reader.object('sessionAffinityConfig').object('clientIP');
  const exportCreationMs = decodeTime(reader.text('exportCreationTimestamp'));
  // Go's zero time is written as null.
  if (exportCreationMs === undefined) throw reader.error('exportCreationTimestamp', 'an RFC 3339 time');
  const record: ServiceExportRecord = {
    cluster: reader.text('cluster'),
    name: reader.text('name'),
    namespace: reader.text('namespace'),
    annotations: eitherSpelling(reader, 'annotations', 'Annotations'),
    labels: eitherSpelling(reader, 'labels', 'Labels'),
    exportCreationMs,
    ports: reader.list('ports', (port) => ({
      ...port.optionalText('name'),
      ...port.optionalText('protocol'),
      ...port.optionalText('appProtocol'),
      port: port.integer('port', 0, 65_535),
    })),
    type: oneOf(reader, 'type', ['ClusterSetIP', 'Headless']),
    sessionAffinity: oneOf(reader, 'sessionAffinity', ['None', 'ClientIP']),
    ...(affinity.has('timeoutSeconds')
      ? { sessionAffinityTimeoutSeconds: affinity.integer('timeoutSeconds', 0, 2 ** 31 - 1) }
      : {}),
    ipFamilies: reader.texts('ipFamilies').map((family, i) => {
      if (family !== 'IPv4' && family !== 'IPv6') throw reader.error(`ipFamilies[${i}]`, 'IPv4 or IPv6', family);
      return family;
    }),
    ...optionalOneOf(reader, 'internalTrafficPolicy', ['Cluster', 'Local']),
    ...optionalOneOf(reader, 'trafficDistribution', ['PreferClose', 'PreferSameZone', 'PreferSameNode']),
  };
  for (const member of ['cluster', 'namespace', 'name'] as const)
    if (record[member] === '') throw reader.error(member, 'a name', '');
  if (`${record.namespace}/${record.name}` !== suffix)
    throw reader.error('name', `the key's ${suffix}`, `${record.namespace}/${record.name}`);
  if (origin && record.cluster !== origin.cluster)
    throw reader.error('cluster', `the cluster's name ${JSON.stringify(origin.cluster)}`, record.cluster);
  return record;
}

/** Two members that differ in case only: the lower-case one counts unless it is empty. */
function eitherSpelling(reader: ObjectReader, current: string, legacy: string): Record<string, string> {
  const found = reader.textMap(current);
  return Object.keys(found).length > 0 ? found : reader.textMap(legacy);
}

function oneOf<const T extends string>(reader: ObjectReader, name: string, words: readonly T[]): T {
  const found = reader.text(name);
  const word = words.find((candidate) => candidate === found);
  if (word === undefined) throw reader.error(name, `one of ${words.join(', ')}`, found);
  return word;
}

function optionalOneOf<N extends string, const T extends string>(
  reader: ObjectReader,
  name: N,
  words: readonly T[],
): { readonly [K in N]?: T } {
  return (reader.text(name) === '' ? {} : { [name]: oneOf(reader, name, words) }) as { readonly [K in N]?: T };
}

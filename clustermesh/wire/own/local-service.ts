import { goJson, omitEmpty, stringMap, struct } from '../go-json.ts';
import { localServiceKey } from '../keys.ts';
import { type Encoded, ObjectReader } from '../object-reader.ts';
import type { LocalServiceRecord } from '../records.ts';
import { splitSuffix } from './suffix.ts';

export function keyOfLocalService(record: Pick<LocalServiceRecord, 'namespace' | 'name'>): string {
  return localServiceKey(record.namespace, record.name);
}

/** `isthmus/v1/services/<ns>/<name>`. */
export function encodeLocalService(record: LocalServiceRecord): string {
  return goJson(
    struct(
      ['uid', omitEmpty(record.uid)],
      ['type', record.type],
      ['headless', omitEmpty(record.headless)],
      ['clusterIPs', omitEmpty(record.clusterIps)],
      [
        'ports',
        omitEmpty(
          record.ports.map((port) =>
            struct(
              ['name', omitEmpty(port.name)],
              ['port', port.port],
              ['protocol', port.protocol],
              ['nodePort', omitEmpty(port.nodePort ?? 0)],
              ['appProtocol', omitEmpty(port.appProtocol ?? '')],
            ),
          ),
        ),
      ],
      ['externalIPs', omitEmpty(record.externalIps)],
      ['loadBalancerIPs', omitEmpty(record.loadBalancerIps)],
      ['loadBalancerSourceRanges', omitEmpty(record.loadBalancerSourceRanges)],
      ['internalTrafficPolicy', omitEmpty(record.internalTrafficPolicy ?? '')],
      ['externalTrafficPolicy', omitEmpty(record.externalTrafficPolicy ?? '')],
      ['sessionAffinity', record.sessionAffinity],
      ['sessionAffinityTimeoutSeconds', omitEmpty(record.sessionAffinityTimeoutSeconds ?? 0)],
      ['trafficDistribution', omitEmpty(record.trafficDistribution ?? '')],
      ['annotations', omitEmpty(stringMap(record.annotations))],
      ['hasSelector', omitEmpty(record.hasSelector)],
    ),
  );
}

/** @param suffix `<ns>/<name>`. @throws {InvalidRecordError} */
export function decodeLocalService(suffix: string, value: Encoded): LocalServiceRecord {
  const [namespace, name] = splitSuffix('isthmus/v1/services/', suffix, ['ns', 'name']);
  const reader = ObjectReader.parse(localServiceKey(namespace, name), value);
  const sessionAffinityTimeoutSeconds = reader.integer('sessionAffinityTimeoutSeconds', 0, 86_400);
  return {
    namespace,
    name,
    uid: reader.text('uid'),
    type: reader.text('type'),
    clusterIps: reader.ips('clusterIPs'),
    headless: reader.boolean('headless'),
    ports: reader.list('ports', (port) => {
      const nodePort = port.uint('nodePort', 16);
      return {
        name: port.text('name'),
        port: port.uint('port', 16),
        protocol: port.text('protocol'),
        ...(nodePort === 0 ? {} : { nodePort }),
        ...port.optionalText('appProtocol'),
      };
    }),
    externalIps: reader.ips('externalIPs'),
    loadBalancerIps: reader.ips('loadBalancerIPs'),
    loadBalancerSourceRanges: reader.texts('loadBalancerSourceRanges'),
    ...reader.optionalText('internalTrafficPolicy'),
    ...reader.optionalText('externalTrafficPolicy'),
    sessionAffinity: reader.text('sessionAffinity'),
    ...(sessionAffinityTimeoutSeconds === 0 ? {} : { sessionAffinityTimeoutSeconds }),
    ...reader.optionalText('trafficDistribution'),
    annotations: reader.textMap('annotations'),
    hasSelector: reader.boolean('hasSelector'),
  };
}

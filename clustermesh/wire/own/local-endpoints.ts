import { goJson, omitEmpty, struct } from '../go-json.ts';
import { localEndpointsKey } from '../keys.ts';
import { type Encoded, ObjectReader } from '../object-reader.ts';
import type { LocalEndpoint, LocalEndpointsRecord } from '../records.ts';
import { splitSuffix } from './suffix.ts';

export function keyOfLocalEndpoints(record: Pick<LocalEndpointsRecord, 'namespace' | 'service' | 'slice'>): string {
  return localEndpointsKey(record.namespace, record.service, record.slice);
}

/** `isthmus/v1/endpoints/<ns>/<service>/<slice>`. */
export function encodeLocalEndpoints(record: LocalEndpointsRecord): string {
  return goJson(
    struct(
      ['addressType', record.addressType],
      [
        'ports',
        omitEmpty(
          record.ports.map((port) =>
            struct(
              ['name', omitEmpty(port.name)],
              ['port', omitEmpty(port.port ?? 0)],
              ['protocol', port.protocol],
              ['appProtocol', omitEmpty(port.appProtocol ?? '')],
            ),
          ),
        ),
      ],
      ['endpoints', omitEmpty(record.endpoints.map(encodeEndpoint))],
    ),
  );
}

/** @param suffix `<ns>/<service>/<slice>`. @throws {InvalidRecordError} */
export function decodeLocalEndpoints(suffix: string, value: Encoded): LocalEndpointsRecord {
  const [namespace, service, slice] = splitSuffix('isthmus/v1/endpoints/', suffix, ['ns', 'service', 'slice']);
  const reader = ObjectReader.parse(localEndpointsKey(namespace, service, slice), value);
  return {
    namespace,
    service,
    slice,
    addressType: reader.text('addressType'),
    ports: reader.list('ports', (port) => {
      const number = port.uint('port', 16);
      return {
        name: port.text('name'),
        ...(number === 0 ? {} : { port: number }),
        protocol: port.text('protocol'),
        ...port.optionalText('appProtocol'),
      };
    }),
    endpoints: reader.list('endpoints', (endpoint) => ({
      addresses: endpoint.ips('addresses'),
      ready: endpoint.boolean('ready'),
      serving: endpoint.boolean('serving'),
      terminating: endpoint.boolean('terminating'),
      ...endpoint.optionalText('nodeName'),
      ...endpoint.optionalText('zone'),
      ...endpoint.optionalText('hostname'),
      ...(endpoint.has('hints') ? { hints: endpoint.texts('hints') } : {}),
      ...endpoint.optionalText('workload'),
    })),
  };
}

function encodeEndpoint(endpoint: LocalEndpoint): ReturnType<typeof struct> {
  return struct(
    ['addresses', omitEmpty(endpoint.addresses)],
    ['ready', omitEmpty(endpoint.ready)],
    ['serving', omitEmpty(endpoint.serving)],
    ['terminating', omitEmpty(endpoint.terminating)],
    ['nodeName', omitEmpty(endpoint.nodeName ?? '')],
    ['zone', omitEmpty(endpoint.zone ?? '')],
    ['hostname', omitEmpty(endpoint.hostname ?? '')],
    ['hints', omitEmpty(endpoint.hints ?? [])],
    ['workload', omitEmpty(endpoint.workload ?? '')],
  );
}

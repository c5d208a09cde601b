import { parseIp } from '../../values/ip/index.ts';
import type { EndpointSlice, EndpointSliceEndpoint } from '../objects/index.ts';
import type { FieldReader } from './field-reader.ts';
import { readMetadata } from './metadata.ts';
import { protocols } from './pod.ts';

/** Label of an EndpointSlice that names its Service. */
export const serviceNameLabel = 'kubernetes.io/service-name';

const conditionNames = ['ready', 'serving', 'terminating'] as const;

export function readEndpointSlice(reader: FieldReader): EndpointSlice {
  const addressType = reader.oneOf('addressType', ['IPv4', 'IPv6', 'FQDN']);
  return {
    kind: 'EndpointSlice',
    metadata: readMetadata(reader, 'namespaced'),
    addressType,
    endpoints: reader.list('endpoints', (endpoint) => readEndpoint(endpoint, addressType)),
    ports: reader.list('ports', (port) => ({
      name: port.text('name', ''),
      protocol: port.oneOf('protocol', protocols, 'TCP'),
      ...(port.has('port') ? { port: port.port('port') } : {}),
      ...port.spread('appProtocol'),
    })),
  };
}

function readEndpoint(endpoint: FieldReader, addressType: EndpointSlice['addressType']): EndpointSliceEndpoint {
  const conditions = endpoint.object('conditions');
  const stated = conditionNames.filter((name) => conditions.has(name));
  const target = endpoint.object('targetRef');
  const canonical = (text: string): string => {
    const ip = parseIp(text);
    if (ip.includes(':') !== (addressType === 'IPv6')) throw new RangeError('another family');
    return ip;
  };
  return {
    addresses:
      addressType === 'FQDN'
        ? endpoint.texts('addresses')
        : endpoint.parsed('addresses', `an ${addressType} address`, canonical),
    conditions: {
      ready: conditions.boolean('ready', true),
      serving: conditions.boolean('serving', conditions.boolean('ready', true)),
      terminating: conditions.boolean('terminating', false),
    },
    ...(stated.length === conditionNames.length
      ? {}
      : { statedConditions: Object.fromEntries(stated.map((name) => [name, conditions.boolean(name)])) }),
    ...endpoint.spread('hostname'),
    ...endpoint.spread('nodeName'),
    ...endpoint.spread('zone'),
    ...(endpoint.has('deprecatedTopology') ? { deprecatedTopology: endpoint.textMap('deprecatedTopology') } : {}),
    ...(endpoint.object('hints').has('forZones')
      ? { hints: { forZones: endpoint.object('hints').list('forZones', (item) => ({ name: item.text('name') })) } }
      : {}),
    ...(target.has('name')
      ? {
          targetRef: {
            kind: target.text('kind', ''),
            namespace: target.text('namespace', ''),
            name: target.text('name'),
          },
        }
      : {}),
  };
}

import { isIp, parseIp } from '../../values/ip/index.ts';
import type { CiliumEndpoint, CiliumEndpointSlice, CiliumEndpointState, CiliumNamedPort } from '../objects/index.ts';
import { readIpPair } from './cilium-node.ts';
import type { FieldReader } from './field-reader.ts';
import { readMetadata } from './metadata.ts';

const protocols: readonly CiliumNamedPort['protocol'][] = ['TCP', 'UDP', 'SCTP', 'ICMP', 'ICMPv6', 'ANY'];

export function readCiliumEndpoint(reader: FieldReader): CiliumEndpoint {
  const status = reader.object('status');
  return {
    kind: 'CiliumEndpoint',
    metadata: readMetadata(reader, 'namespaced'),
    status: readState(status, status.object('identity')),
  };
}

export function readCiliumEndpointSlice(reader: FieldReader): CiliumEndpointSlice {
  return {
    kind: 'CiliumEndpointSlice',
    metadata: readMetadata(reader, 'cluster'),
    namespace: reader.text('namespace'),
    endpoints: reader.list('endpoints', (item) => ({ name: item.text('name'), ...readState(item, item) })),
  };
}

/** @param identity where `id` is the number of the identity: an endpoint has a local id of its own by that name. */
function readState(reader: FieldReader, identity: FieldReader): CiliumEndpointState {
  const networking = reader.object('networking');
  const node = networking.text('node', '');
  const serviceAccount = reader.optional('service-account');
  return {
    identity: identity.integer('id', 0, 0xffff_ffff, 0),
    networking: {
      addressing: networking.list('addressing', readIpPair),
      ...(isIp(node) ? { node: parseIp(node) } : {}),
    },
    encryptionKey: reader.object('encryption').integer('key', 0, 255, 0),
    namedPorts: reader.list('named-ports', (port) => ({
      name: port.text('name', ''),
      port: port.integer('port', 0, 65_535, 0),
      protocol: port.oneOf('protocol', protocols, 'TCP'),
    })),
    ...(serviceAccount === undefined ? {} : { serviceAccount }),
  };
}

import { parseIp } from '../../values/ip/index.ts';
import { type SliceMessage, decodeSliceMessage, encodeSliceMessage } from './endpoint-slice-message.ts';
import { InvalidRecordError, type RecordFault } from './invalid-record.ts';
import { endpointSliceKey } from './keys.ts';
import type { Encoded } from './object-reader.ts';
import type { EndpointSliceRecord } from './records.ts';
import type { RemoteOrigin } from './remote-origin.ts';
import { compress, decompress } from './zstd.ts';

/** A reader takes no more than this of one value (kvstore-schema §16.4). */
const maxMessageBytes = 16 * 1024 * 1024;
/** Every address stands for every port; the API speaks of 1,000 endpoints and 100 ports at most (discovery/v1). */
const maxPairs = 100_000;

export function keyOfEndpointSlice(record: Pick<EndpointSliceRecord, 'cluster' | 'namespace' | 'name'>): string {
  return endpointSliceKey(record.cluster, record.namespace, record.name);
}

/**
 * `cilium/state/endpointslices/v1/<C>/<ns>/<slice>` (kvstore-schema §16.4): a zstd frame around a protobuf message.
 * Compressors differ: the bytes of two writers are comparable only after decompression.
 */
export function encodeEndpointSlice(record: EndpointSliceRecord): Uint8Array {
  return compress(encodeSliceMessage(record));
}

/**
 * @param suffix the key's part after the cluster: `<namespace>/<slice>`.
 * @param origin the cluster that the record must come from; without it only the form is checked.
 * @throws {InvalidRecordError} by the rules of kvstore-schema §16.6.
 */
export function decodeEndpointSlice(suffix: string, value: Encoded, origin?: RemoteOrigin): EndpointSliceRecord {
  const key = `cilium/state/endpointslices/v1/${origin?.cluster ?? '*'}/${suffix}`;
  const message = messageOf(key, value);
  const error = (field: string, expected: string, found: unknown, fault?: RecordFault): InvalidRecordError =>
    new InvalidRecordError(key, field, expected, found, fault ? { fault } : {});
  const { cluster, clusterId, namespace, name, addressType } = message;
  for (const member of ['cluster', 'namespace', 'name'] as const)
    if (message[member] === '') throw error(member, 'a name', '');
  const { ports } = message;
  const pairs = message.endpoints.reduce((sum, { addresses }) => sum + addresses.length, 0) * ports.length;
  if (pairs > maxPairs) throw error('ports', `${maxPairs} pairs of address and port at most`, pairs);
  if (`${namespace}/${name}` !== suffix) throw error('name', `the key's ${suffix}`, `${namespace}/${name}`);
  if (addressType !== 'IPv4' && addressType !== 'IPv6') throw error('addressType', 'IPv4 or IPv6', addressType);
  if (origin && cluster !== origin.cluster)
    throw error('cluster', `the cluster's name ${JSON.stringify(origin.cluster)}`, cluster, 'foreign-cluster');
  if (origin && clusterId !== origin.clusterId)
    throw error('clusterID', `the cluster's id ${origin.clusterId}`, clusterId, 'foreign-cluster');
  ports.forEach(({ port = 0 }, i) => {
    if (port < 0 || port > 65_535) throw error(`ports[${i}].port`, 'a number from 0 to 65535', port);
  });
  const endpoints = message.endpoints.map((endpoint, i) => ({
    ...endpoint,
    addresses: endpoint.addresses.map((address, j) => {
      const ip = canonical(address);
      if (ip === undefined || ip.includes(':') !== (addressType === 'IPv6'))
        throw error(`endpoints[${i}].addresses[${j}]`, `an ${addressType} address`, address);
      return ip;
    }),
  }));
  return { ...message, addressType, endpoints };
}

function messageOf(key: string, value: Encoded): SliceMessage {
  const frame = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  try {
    return decodeSliceMessage(decompress(frame, maxMessageBytes));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidRecordError(key, '', 'a zstd frame around a ClusterEndpointSlice', reason, { cause });
  }
}

function canonical(address: string): string | undefined {
  try {
    return parseIp(address);
  } catch {
    return undefined;
  }
}

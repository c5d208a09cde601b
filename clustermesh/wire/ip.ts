import { clusterIdOf } from '../../values/identity/index.ts';
import { formatPrefix, hostPrefix, parsePrefix } from '../../values/ip/index.ts';
import { goJson, omitEmpty, struct } from './go-json.ts';
import { ipKey } from './keys.ts';
import { type Encoded, ObjectReader, maskOf } from './object-reader.ts';
import type { IpRecord, NamedPort } from './records.ts';
import type { RemoteOrigin } from './remote-origin.ts';

/** The key's part after the prefix: the address of a host, `address/length` of a block. */
export function suffixOfIp(record: Pick<IpRecord, 'prefix' | 'cidr'>): string {
  return record.cidr ? formatPrefix(record.prefix) : record.prefix.address;
}

export function keyOfIp(record: Pick<IpRecord, 'prefix' | 'cidr'>): string {
  return ipKey(suffixOfIp(record));
}

/** `cilium/state/ip/v1/default/<ip>` (kvstore-schema §5). Named ports keep their order. */
export function encodeIp(record: IpRecord): string {
  return goJson(
    struct(
      ['IP', record.prefix.address],
      ['Mask', record.cidr ? maskOf(record.prefix) : null],
      ['HostIP', record.hostIp],
      ['ID', record.identity],
      ['Key', record.encryptKey],
      ['Metadata', record.metadata],
      ['K8sNamespace', omitEmpty(record.namespace)],
      ['K8sPodName', omitEmpty(record.podName)],
      ['K8sServiceAccount', omitEmpty(record.serviceAccount)],
      [
        'NamedPorts',
        omitEmpty(
          record.namedPorts.map(({ name, port, protocol }) =>
            struct(['Name', name], ['Port', port], ['Protocol', protocol]),
          ),
        ),
      ],
    ),
  );
}

/**
 * @param suffix the key's part after the prefix that was watched; it must say the same address as the value.
 * @param origin the cluster that the identity must belong to; without it only the form is checked.
 * @throws {InvalidRecordError}
 */
export function decodeIp(suffix: string, value: Encoded, origin?: RemoteOrigin): IpRecord {
  const reader = ObjectReader.parse(ipKey(suffix), value);
  const ip = reader.ip('IP');
  if (ip === '') throw reader.error('IP', 'an IP address');
  const length = reader.maskLength('Mask', ip);
  const record: IpRecord = {
    prefix: length === undefined ? hostPrefix(ip) : parsePrefix(`${ip}/${length}`, { strict: false }),
    cidr: length !== undefined,
    hostIp: reader.ip('HostIP'),
    identity: reader.uint('ID', 32),
    encryptKey: reader.uint('Key', 8),
    metadata: reader.text('Metadata'),
    namespace: reader.text('K8sNamespace'),
    podName: reader.text('K8sPodName'),
    serviceAccount: reader.text('K8sServiceAccount'),
    namedPorts: reader.list('NamedPorts', readNamedPort),
  };
  if (suffixOfIp(record) !== suffix) throw reader.error('IP', `the key's address ${suffix}`, suffixOfIp(record));
  if (origin && !identityBelongs(record.identity, origin))
    throw reader.error('ID', `an identity of cluster ${origin.clusterId} or a reserved one`, record.identity, {
      fault: 'foreign-identity',
    });
  return record;
}

/** A member of `NamedPorts`. The protocol is a name, or a number as text. */
export function readNamedPort(item: ObjectReader): NamedPort {
  const text = item.text('Protocol');
  const protocol = text.toUpperCase();
  if (!protocols.has(protocol) && !(/^\d{1,3}$/.test(text) && Number(text) <= 255))
    throw item.error('Protocol', 'TCP, UDP, SCTP, ICMP, ICMPv6, ANY or a number from 0 to 255');
  return {
    name: item.text('Name'),
    port: item.uint('Port', 16),
    protocol: protocol === 'ICMPV6' ? 'ICMPv6' : protocol,
  };
}

const protocols = new Set(['TCP', 'UDP', 'SCTP', 'ICMP', 'ICMPV6', 'ANY']);

/** Whether another cluster may give an address this identity: one of its own range, or a reserved one. */
export function identityBelongs(identity: number, { clusterId, maxConnectedClusters = 255 }: RemoteOrigin): boolean {
  if (identity < 256) return true;
  return identity < 2 ** 24 && clusterIdOf(identity, maxConnectedClusters) === clusterId;
}

import { type IpAddress, type Prefix } from '../../values/ip/index.ts';
import { sharedText } from '../../values/text/index.ts';
import { type GoJson, goJson, stringMap, struct } from './go-json.ts';
import { nodeKey } from './keys.ts';
import { type Encoded, ObjectReader, maskOf } from './object-reader.ts';
import type { NodeAddress, NodeRecord } from './records.ts';
import { type RemoteOrigin, checkOrigin } from './remote-origin.ts';

export function keyOfNode(record: Pick<NodeRecord, 'cluster' | 'name'>): string {
  return nodeKey(record.cluster, record.name);
}

/** `cilium/state/nodes/v1/<C>/<node>` (kvstore-schema §6): every member is always there but `NodeIdentity`. */
export function encodeNode(record: NodeRecord): string {
  const cidrs4 = record.podCidrs.filter((prefix) => prefix.family === 4);
  const cidrs6 = record.podCidrs.filter((prefix) => prefix.family === 6);
  return goJson(
    struct(
      ['Name', record.name],
      ['Cluster', record.cluster],
      ['IPAddresses', orNull(record.addresses.map(({ type, ip }) => struct(['Type', type], ['IP', ip])))],
      ['IPv4AllocCIDR', cidr(cidrs4[0])],
      ['IPv4SecondaryAllocCIDRs', orNull(cidrs4.slice(1).map(cidr))],
      ['IPv6AllocCIDR', cidr(cidrs6[0])],
      ['IPv6SecondaryAllocCIDRs', orNull(cidrs6.slice(1).map(cidr))],
      ['IPv4HealthIP', firstOf(record.healthIps, 4)],
      ['IPv6HealthIP', firstOf(record.healthIps, 6)],
      ['IPv4IngressIP', firstOf(record.ingressIps, 4)],
      ['IPv6IngressIP', firstOf(record.ingressIps, 6)],
      ['ClusterID', record.clusterId],
      ['Source', record.source],
      ['EncryptionKey', record.encryptionKey],
      ['Labels', stringMap(record.labels)],
      ['Annotations', stringMap(record.annotations)],
      ['NodeIdentity', record.nodeIdentity],
      ['WireguardPubKey', record.wireguardPublicKey],
      ['BootID', record.bootId],
    ),
  );
}

/**
 * @param key for messages; its part after the last `/` must be the node's name.
 * @param origin the cluster that the record must come from; without it only the form is checked.
 * @throws {InvalidRecordError}
 */
export function decodeNode(key: string, value: Encoded, origin?: RemoteOrigin): NodeRecord {
  const reader = ObjectReader.parse(key, value);
  const record: NodeRecord = {
    name: reader.text('Name'),
    cluster: sharedText(reader.text('Cluster')),
    clusterId: reader.uint('ClusterID', 32),
    addresses: reader.list('IPAddresses', addressOf).filter((address) => address !== undefined),
    podCidrs: [
      ...primary(reader.cidr('IPv4AllocCIDR')),
      ...reader.list('IPv4SecondaryAllocCIDRs', (item) => item.ownCidr()),
      ...primary(reader.cidr('IPv6AllocCIDR')),
      ...reader.list('IPv6SecondaryAllocCIDRs', (item) => item.ownCidr()),
    ],
    healthIps: present(reader.ip('IPv4HealthIP'), reader.ip('IPv6HealthIP')),
    ingressIps: present(reader.ip('IPv4IngressIP'), reader.ip('IPv6IngressIP')),
    source: sharedText(reader.text('Source')),
    encryptionKey: reader.uint('EncryptionKey', 8),
    labels: reader.has('Labels') ? reader.textMap('Labels') : null,
    annotations: reader.has('Annotations') ? reader.textMap('Annotations') : null,
    ...(reader.has('NodeIdentity') ? { nodeIdentity: reader.uint('NodeIdentity', 32) } : {}),
    wireguardPublicKey: reader.text('WireguardPubKey'),
    bootId: reader.text('BootID'),
  };
  if (record.name === '') throw reader.error('Name', 'a name', '');
  if (record.cluster === '') throw reader.error('Cluster', 'a name', '');
  if (record.name !== key.slice(key.lastIndexOf('/') + 1))
    throw reader.error('Name', 'the last segment of the key', record.name);
  if (origin) checkOrigin(reader, { cluster: 'Cluster', id: 'ClusterID' }, record, origin);
  return record;
}

/** Very old releases spelled the type `AddressType`. An entry without an address is dropped, as Cilium does. */
function addressOf(item: ObjectReader): NodeAddress | undefined {
  const ip = item.ip('IP');
  return ip === '' ? undefined : { type: sharedText(item.text('Type') || item.text('AddressType')), ip };
}

function cidr(prefix: Prefix | undefined): GoJson {
  return prefix ? struct(['IP', prefix.address], ['Mask', maskOf(prefix)]) : null;
}

function orNull(list: readonly GoJson[]): GoJson {
  return list.length === 0 ? null : list;
}

function firstOf(ips: readonly IpAddress[], family: 4 | 6): string {
  return ips.find((ip) => ip.includes(':') === (family === 6)) ?? '';
}

function primary(prefix: Prefix | undefined): Prefix[] {
  return prefix ? [prefix] : [];
}

function present(...ips: readonly string[]): IpAddress[] {
  return ips.filter((ip) => ip !== '');
}

import { GoMap, type GoJson, goJson, omitEmpty, stringMap, struct } from './go-json.ts';
import { serviceKey } from './keys.ts';
import { type Encoded, ObjectReader } from './object-reader.ts';
import type { ClusterServiceRecord, PortConfiguration } from './records.ts';
import { type RemoteOrigin, checkOrigin } from './remote-origin.ts';

export function keyOfService(record: Pick<ClusterServiceRecord, 'cluster' | 'namespace' | 'name'>): string {
  return serviceKey(record.cluster, record.namespace, record.name);
}

/** `cilium/state/services/v1/<C>/<ns>/<name>` (kvstore-schema §7). */
export function encodeService(record: ClusterServiceRecord): string {
  const zones = Object.entries(record.zones).map(
    ([ip, { zone, forZones }]) =>
      [ip, struct(['zone', zone], ['forZones', forZones.map((name) => struct(['name', name]))])] as const,
  );
  return goJson(
    struct(
      ['cluster', record.cluster],
      ['namespace', record.namespace],
      ['name', record.name],
      ['frontends', portsByIp(record.frontends)],
      ['backends', portsByIp(record.backends)],
      ['hostnames', omitEmpty(stringMap(record.hostnames))],
      ['zones', omitEmpty(new GoMap(zones))],
      ['labels', stringMap(record.labels)],
      ['selector', stringMap(record.selector)],
      ['includeExternal', record.includeExternal],
      ['shared', record.shared],
      ['clusterID', record.clusterId],
    ),
  );
}

/**
 * @param suffix the key's part after the cluster: `<namespace>/<name>`.
 * @param origin the cluster that the record must come from; without it only the form is checked.
 * @throws {InvalidRecordError}
 */
export function decodeService(suffix: string, value: Encoded, origin?: RemoteOrigin): ClusterServiceRecord {
  const reader = ObjectReader.parse(`cilium/state/services/v1/${origin?.cluster ?? '*'}/${suffix}`, value);
  const record: ClusterServiceRecord = {
    cluster: reader.text('cluster'),
    clusterId: reader.uint('clusterID', 32),
    namespace: reader.text('namespace'),
    name: reader.text('name'),
    frontends: reader.ipMap('frontends', readPorts),
    backends: reader.ipMap('backends', readPorts),
    hostnames: reader.textMap('hostnames'),
    zones: reader.map('zones', (zone) => ({
      zone: zone.text('zone'),
      forZones: zone.list('forZones', (item) => item.text('name')),
    })),
    labels: reader.textMap('labels'),
    selector: reader.textMap('selector'),
    includeExternal: reader.boolean('includeExternal'),
    shared: reader.boolean('shared'),
  };
  for (const member of ['cluster', 'namespace', 'name'] as const)
    if (record[member] === '') throw reader.error(member, 'a name', '');
  if (`${record.namespace}/${record.name}` !== suffix)
    throw reader.error('name', `the key's ${suffix}`, `${record.namespace}/${record.name}`);
  if (origin) checkOrigin(reader, { cluster: 'cluster', id: 'clusterID' }, record, origin);
  return record;
}

function readPorts(ports: ObjectReader): PortConfiguration {
  return ports.members((port) => ({ protocol: port.text('Protocol'), port: port.uint('Port', 16) }));
}

function portsByIp(byIp: Readonly<Record<string, PortConfiguration>>): GoJson {
  return new GoMap(Object.entries(byIp).map(([ip, ports]) => [ip, portMap(ports)]));
}

function portMap(ports: PortConfiguration): GoJson {
  return new GoMap(
    Object.entries(ports).map(([name, { protocol, port }]) => [name, struct(['Protocol', protocol], ['Port', port])]),
  );
}

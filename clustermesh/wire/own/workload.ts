import { goJson, omitEmpty, stringMap, struct } from '../go-json.ts';
import { workloadKey } from '../keys.ts';
import { readNamedPort } from '../ip.ts';
import { type Encoded, ObjectReader } from '../object-reader.ts';
import type { WorkloadRecord } from '../records.ts';
import { splitSuffix } from './suffix.ts';

export function keyOfWorkload(record: Pick<WorkloadRecord, 'node' | 'namespace' | 'name'>): string {
  return workloadKey(record.node, record.namespace, record.name);
}

/** `isthmus/v1/workloads/<node>/<ns>/<name>`. `identity` is always there: 0 says "not yet". */
export function encodeWorkload(record: WorkloadRecord): string {
  return goJson(
    struct(
      ['uid', omitEmpty(record.uid)],
      ['labels', omitEmpty(stringMap(record.labels))],
      ['identity', record.identity],
      [
        'namedPorts',
        omitEmpty(
          record.namedPorts.map(({ name, port, protocol }) =>
            struct(['name', name], ['port', port], ['protocol', protocol]),
          ),
        ),
      ],
      ['serviceAccount', omitEmpty(record.serviceAccount)],
      ['ips', omitEmpty(record.ips)],
      ['hidden', omitEmpty(record.hidden ?? false)],
    ),
  );
}

/** @param suffix `<node>/<ns>/<name>`. @throws {InvalidRecordError} */
export function decodeWorkload(suffix: string, value: Encoded): WorkloadRecord {
  const [node, namespace, name] = splitSuffix('isthmus/v1/workloads/', suffix, ['node', 'ns', 'name']);
  const reader = ObjectReader.parse(workloadKey(node, namespace, name), value);
  return {
    node,
    namespace,
    name,
    uid: reader.text('uid'),
    labels: reader.textMap('labels'),
    identity: reader.uint('identity', 32),
    namedPorts: reader.list('namedPorts', readNamedPort),
    serviceAccount: reader.text('serviceAccount'),
    ips: reader.ips('ips'),
    ...(reader.boolean('hidden') ? { hidden: true } : {}),
  };
}

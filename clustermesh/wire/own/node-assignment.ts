import { formatPrefix } from '../../../values/ip/index.ts';
import { goJson, omitEmpty, stringMap, struct } from '../go-json.ts';
import { nodeAssignmentKey } from '../keys.ts';
import { type Encoded, ObjectReader } from '../object-reader.ts';
import type { NodeAssignmentRecord } from '../records.ts';
import { splitSuffix } from './suffix.ts';

export function keyOfNodeAssignment(record: Pick<NodeAssignmentRecord, 'node'>): string {
  return nodeAssignmentKey(record.node);
}

/** `isthmus/v1/nodes/<node>`. */
export function encodeNodeAssignment(record: NodeAssignmentRecord): string {
  return goJson(
    struct(
      ['podCIDRs', omitEmpty(record.podCidrs.map(formatPrefix))],
      ['zone', omitEmpty(record.zone ?? '')],
      ['region', omitEmpty(record.region ?? '')],
      ['labels', omitEmpty(stringMap(record.labels))],
    ),
  );
}

/** @param suffix `<node>`. @throws {InvalidRecordError} */
export function decodeNodeAssignment(suffix: string, value: Encoded): NodeAssignmentRecord {
  const [node] = splitSuffix('isthmus/v1/nodes/', suffix, ['node']);
  const reader = ObjectReader.parse(nodeAssignmentKey(node), value);
  return {
    node,
    podCidrs: reader.prefixes('podCIDRs'),
    ...reader.optionalText('zone'),
    ...reader.optionalText('region'),
    labels: reader.textMap('labels'),
  };
}

import { goJson, omitEmpty, stringMap, struct } from '../go-json.ts';
import { namespaceKey } from '../keys.ts';
import { type Encoded, ObjectReader } from '../object-reader.ts';
import type { NamespaceRecord } from '../records.ts';
import { splitSuffix } from './suffix.ts';

export function keyOfNamespace(record: Pick<NamespaceRecord, 'name'>): string {
  return namespaceKey(record.name);
}

/** `isthmus/v1/namespaces/<name>`. */
export function encodeNamespace(record: NamespaceRecord): string {
  return goJson(
    struct(['labels', omitEmpty(stringMap(record.labels))], ['annotations', omitEmpty(stringMap(record.annotations))]),
  );
}

/** @param suffix `<name>`. @throws {InvalidRecordError} */
export function decodeNamespace(suffix: string, value: Encoded): NamespaceRecord {
  const [name] = splitSuffix('isthmus/v1/namespaces/', suffix, ['name']);
  const reader = ObjectReader.parse(namespaceKey(name), value);
  return { name, labels: reader.textMap('labels'), annotations: reader.textMap('annotations') };
}

import { GoMap, type GoJson, goJson, omitEmpty, struct } from '../go-json.ts';
import { InvalidRecordError } from '../invalid-record.ts';
import { policyKey } from '../keys.ts';
import { type Encoded, ObjectReader } from '../object-reader.ts';
import type { PolicyRecord } from '../records.ts';
import { splitSuffix } from './suffix.ts';

/** Stands for the namespace of a policy that has none. No namespace has this name. */
const clusterScope = '_';

export function keyOfPolicy(record: Pick<PolicyRecord, 'kind' | 'namespace' | 'name'>): string {
  return policyKey(record.kind, record.namespace || clusterScope, record.name);
}

/** `isthmus/v1/policies/<kind>/<ns or _>/<name>`. Members of `spec` are sorted by name at every depth. */
export function encodePolicy(record: PolicyRecord): string {
  return goJson(
    struct(['spec', sorted(record.spec)], ['uid', omitEmpty(record.uid)], ['generation', omitEmpty(record.generation)]),
  );
}

/** @param suffix `<kind>/<ns or _>/<name>`. @throws {InvalidRecordError} */
export function decodePolicy(suffix: string, value: Encoded): PolicyRecord {
  const [kind, scope, name] = splitSuffix('isthmus/v1/policies/', suffix, ['kind', 'ns', 'name']);
  const reader = ObjectReader.parse(policyKey(kind, scope, name), value);
  return {
    kind,
    namespace: scope === clusterScope ? '' : scope,
    name,
    uid: reader.text('uid'),
    generation: reader.integer('generation', 0, Number.MAX_SAFE_INTEGER),
    spec: reader.raw('spec'),
  };
}

/** @throws {InvalidRecordError} for what JSON has no word for. */
function sorted(value: unknown): GoJson {
  if (Array.isArray(value)) return value.map(sorted);
  if (value !== null && typeof value === 'object')
    return new GoMap(
      Object.entries(value)
        .filter(([, member]) => member !== undefined)
        .map(([name, member]) => [name, sorted(member)]),
    );
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new InvalidRecordError('isthmus/v1/policies/', 'spec', 'made of JSON', typeof value);
}

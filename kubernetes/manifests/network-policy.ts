import type { NetworkPolicy } from '../objects/index.ts';
import type { FieldReader } from './field-reader.ts';
import { readMetadata } from './metadata.ts';

/** Rules are not read here: whatever is under `spec` is handed on as it is. */
export function readNetworkPolicy(reader: FieldReader): NetworkPolicy {
  return {
    kind: 'NetworkPolicy',
    metadata: readMetadata(reader, 'namespaced'),
    generation: reader.object('metadata').integer('generation', 0, Number.MAX_SAFE_INTEGER, 0),
    spec: reader.object('spec').members,
  };
}

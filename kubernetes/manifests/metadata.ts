import type { ObjectMeta } from '../objects/index.ts';
import type { FieldReader } from './field-reader.ts';

/** A name that may be a segment of a store key and, in nearly every kind, of a DNS name. */
const objectName = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** @param scope cluster-scoped kinds have no namespace; a namespaced object without one is in `default`. */
export function readMetadata(reader: FieldReader, scope: 'cluster' | 'namespaced'): ObjectMeta {
  const meta = reader.object('metadata');
  const name = meta.text('name');
  const namespace = scope === 'cluster' ? '' : meta.text('namespace', 'default');
  if (!objectName.test(name)) throw meta.error('name', 'a DNS name in lower case', name);
  if (namespace !== '' && (!objectName.test(namespace) || namespace.length > 63))
    throw meta.error('namespace', 'a DNS label in lower case', namespace);
  return {
    name,
    namespace,
    uid: meta.text('uid', ''),
    labels: meta.textMap('labels'),
    annotations: meta.textMap('annotations'),
    ...meta.spread('creationTimestamp'),
  };
}

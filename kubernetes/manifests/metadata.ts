import type { ObjectMeta } from '../objects/index.ts';
import type { FieldReader } from './field-reader.ts';

/** A name that may be a segment of a store key and, in nearly every kind, of a DNS name. */
const objectName = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** Kubernetes: an optional prefix that is a DNS name, and a name of at most 63 characters. */
const labelKey = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/**
 * Labels in the syntax that the API server insists on. They become parts of the texts of identities, where `;` and `=` would
 * make one label two.
 */
export function readLabels(reader: FieldReader, name: string): Record<string, string> {
  const labels = reader.textMap(name);
  for (const [key, value] of Object.entries(labels)) {
    if (!labelKey.test(key)) throw reader.error(name, 'labels with keys such as app or example.com/app', key);
    if (!labelValue.test(value))
      throw reader.error(
        `${name}.${key}`,
        'at most 63 letters, digits, "-", "_" and ".", a letter or digit first and last',
        value,
      );
  }
  return labels;
}

/** The name of a service account, which is part of identities, too. */
export function readServiceAccount(spec: FieldReader): string {
  for (const member of ['serviceAccountName', 'serviceAccount']) {
    const name = spec.optional(member);
    if (name === undefined) continue;
    if (!objectName.test(name)) throw spec.error(member, 'a DNS name in lower case', name);
    return name;
  }
  return 'default';
}

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
    labels: readLabels(meta, 'labels'),
    annotations: meta.textMap('annotations'),
    ...meta.spread('creationTimestamp'),
  };
}

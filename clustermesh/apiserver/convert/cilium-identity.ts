import type { CiliumIdentity } from '../../../kubernetes/index.ts';
import type { IdentityRecord } from '../../wire/index.ts';

/** Security label that names the namespace of an identity. */
const namespaceLabel = 'k8s:io.kubernetes.pod.namespace';

/** Nothing for an identity that says none. */
export function namespaceOfIdentity({ securityLabels }: CiliumIdentity): string | undefined {
  return securityLabels[namespaceLabel] || undefined;
}

/**
 * The record of an identity that Cilium's agents or operator have allocated (kvstore-schema §4.1).
 * @throws {RangeError} for one without labels or without namespace: Cilium skips both (clustermesh-behaviour §1.3, §1.4).
 */
export function identityRecordOf(identity: CiliumIdentity): IdentityRecord {
  const labels = Object.entries(identity.securityLabels).map(([name, value]) => {
    const [, source = 'unspec', key = name] = /^([^:]*):(.*)$/s.exec(name) ?? [];
    return { source, key, value };
  });
  if (labels.length === 0) throw new RangeError('security-labels must not be empty');
  if (namespaceOfIdentity(identity) === undefined) throw new RangeError(`security-labels must have ${namespaceLabel}`);
  return { id: Number(identity.metadata.name), labels };
}

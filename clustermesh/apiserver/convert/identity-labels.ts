import type { Label, Labels } from '../../../values/labels/index.ts';
import type { Pod } from '../../../kubernetes/index.ts';
import { clusterLabel } from '../../wire/index.ts';
import { type LabelFilter, labelFilter } from './label-filter.ts';

/** Prefix under which the labels of a pod's namespace are part of its identity. */
const namespaceLabels = 'io.cilium.k8s.namespace.labels.';
/** Every namespace of a Kubernetes cluster carries its own name under this label. */
const metadataName = 'kubernetes.io/metadata.name';

/**
 * The labels that make a pod's identity (clustermesh-behaviour §5.5): its own ones as far as they say what it is, those of
 * its namespace, namespace, service account and cluster. Two pods with equal ones are the same to every policy.
 */
export function identityLabelsOf(
  pod: Pod,
  namespace: Labels,
  cluster: string,
  filter: LabelFilter = byDefault,
): Label[] {
  const own = Object.entries(pod.metadata.labels).filter(([key]) => !pretends(key));
  const name = pod.metadata.namespace;
  const labels: readonly (readonly [string, string])[] = [
    ...own,
    ...Object.entries({ [metadataName]: name, ...namespace }).map(
      ([key, value]) => [namespaceLabels + key, value] as const,
    ),
    [clusterLabel, cluster],
    ['io.cilium.k8s.policy.serviceaccount', pod.spec.serviceAccountName],
    ['io.kubernetes.pod.namespace', name],
  ];
  return labels.map(([key, value]) => ({ source: 'k8s', key, value })).filter(filter);
}

const byDefault = labelFilter();

/** Labels that only the cluster may give: a pod that has them by itself says nothing. */
function pretends(key: string): boolean {
  return key.startsWith('io.kubernetes') || key.startsWith('io.cilium.k8s.');
}

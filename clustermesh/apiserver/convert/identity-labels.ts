import type { Label, Labels } from '../../../values/labels/index.ts';
import type { Pod } from '../../../kubernetes/index.ts';
import { clusterLabel } from '../../wire/index.ts';

/** Prefix under which the labels of a pod's namespace are part of its identity. */
const namespaceLabels = 'io.cilium.k8s.namespace.labels.';
/** Every namespace of a Kubernetes cluster carries its own name under this label. */
const metadataName = 'kubernetes.io/metadata.name';

/**
 * The labels that make a pod's identity (clustermesh-behaviour §5.5): its own ones as far as they say what it is, those of
 * its namespace, namespace, service account and cluster. Two pods with equal ones are the same to every policy.
 */
export function identityLabelsOf(pod: Pod, namespace: Labels, cluster: string): Label[] {
  const own = Object.entries(pod.metadata.labels).filter(([key]) => saysWhatItIs(key));
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
  return labels.map(([key, value]) => ({ source: 'k8s', key, value }));
}

/**
 * Labels that change with every roll-out or say where a pod runs would give each replica an identity of its own. Cilium's
 * defaults: `app.kubernetes.io/…` stays; what Kubernetes and its tools add goes, and so do labels that pretend to be ours.
 */
function saysWhatItIs(key: string): boolean {
  if (key.startsWith('app.kubernetes.io/')) return true;
  return !excluded.some((pattern) => pattern.test(key));
}

const excluded: readonly RegExp[] = [
  /^io\.kubernetes/,
  /^io\.cilium\.k8s\./,
  /^kubernetes\.io/,
  /^.*beta\.kubernetes\.io/,
  /^k8s\.io/,
  /^pod-template-(generation|hash)/,
  /^controller-(revision-hash|uid)/,
  /^annotation/,
  /^etcd_node/,
  /^statefulset\.kubernetes\.io\/pod-name/,
  /^apps\.kubernetes\.io\/pod-index/,
  /^batch\.kubernetes\.io\/(job-completion-index|controller-uid)/,
];

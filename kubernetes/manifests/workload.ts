import { type LabelRequirement, type LabelSelector, type Labels, matchesSelector } from '../../values/labels/index.ts';
import type { KubernetesObject, Workload } from '../objects/index.ts';
import type { FieldReader } from './field-reader.ts';
import { readLabels, readMetadata } from './metadata.ts';
import { readPodSpec } from './pod.ts';

export const workloadKinds = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job'] as const;

export function isWorkload(object: KubernetesObject | Workload): object is Workload {
  return workloadKinds.some((kind) => kind === object.kind);
}

const operators: readonly LabelRequirement['operator'][] = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

/** `replicas` of a DaemonSet is 1 a node; of a Job, its parallelism. */
export function readWorkload(reader: FieldReader, kind: Workload['kind']): Workload {
  const spec = reader.object('spec');
  const template = spec.object('template');
  const labels = readLabels(template.object('metadata'), 'labels');
  const count = kind === 'Job' ? 'parallelism' : 'replicas';
  const selector = readSelector(spec, labels, kind);
  if (!matchesSelector(selector, labels))
    throw spec.error('template.metadata.labels', 'what spec.selector selects', labels);
  return {
    kind,
    metadata: readMetadata(reader, 'namespaced'),
    spec: {
      replicas: kind === 'DaemonSet' ? 1 : spec.integer(count, 0, 100_000, 1),
      selector,
      template: {
        labels,
        annotations: template.object('metadata').textMap('annotations'),
        spec: readPodSpec(template.object('spec')),
      },
    },
  };
}

/** A Job's selector is made by Kubernetes; elsewhere it is required. */
function readSelector(spec: FieldReader, labels: Labels, kind: Workload['kind']): LabelSelector {
  if (!spec.has('selector')) {
    if (kind === 'Job') return { matchLabels: labels };
    throw spec.error('selector', 'a label selector');
  }
  const selector = spec.object('selector');
  return {
    matchLabels: selector.textMap('matchLabels'),
    matchExpressions: selector.list('matchExpressions', (item) => ({
      key: item.text('key'),
      operator: item.oneOf('operator', operators),
      values: item.texts('values'),
    })),
  };
}

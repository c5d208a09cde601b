import type { EndpointSlice, KubernetesObject, Namespace, Node, Pod, Workload } from '../../kubernetes/index.ts';
import type { Topology } from '../topology/index.ts';
import { closedNamespaces } from './place-services.ts';
import { objectPath } from './schedule.ts';
import type { FieldNote } from './service-notes.ts';

/** What of a bare pod or of a workload's template the lab does not do, or does otherwise. */
export function podSpecNotes(spec: Pod['spec'], at: string): FieldNote[] {
  const notes: FieldNote[] = [];
  if (spec.hostNetwork)
    notes.push({
      field: `${at}.hostNetwork`,
      message: "the lab gives the pod a namespace and an address of its own, not its node's",
    });
  for (const { hostPort, containerPort, protocol } of spec.ports) {
    if (hostPort !== undefined)
      notes.push({
        field: `${at}.containers`,
        message: `hostPort ${hostPort} is not served: port ${containerPort} of the pod's own address is`,
      });
    if (protocol === 'SCTP')
      notes.push({ field: `${at}.containers`, message: `port ${containerPort}: the lab's pods do not listen on SCTP` });
  }
  return notes;
}

export function podNotes(pod: Pod, topology: Topology): FieldNote[] {
  const { nodeName } = pod.spec;
  const nodes = topology.clusters.flatMap((cluster) => cluster.nodes);
  const notes = podSpecNotes(pod.spec, 'spec');
  if (nodeName !== undefined && !nodes.includes(nodeName))
    notes.push({ field: 'spec.nodeName', message: `${nodeName} is no node of the lab: the pod is placed elsewhere` });
  if (pod.status.podIPs.length > 0)
    notes.push({
      field: 'status.podIPs',
      message: `${pod.status.podIPs.join(', ')}: replaced by an address of the pod's node (IPv4)`,
    });
  return notes;
}

export function workloadNotes({ kind, spec }: Workload): FieldNote[] {
  const notes = podSpecNotes(spec.template.spec, 'spec.template.spec');
  if (kind === 'Job') notes.push({ field: 'kind', message: "a Job's pods serve like any other, and never end" });
  return notes;
}

export function namespaceNotes(namespace: Namespace): FieldNote[] {
  return closedNamespaces([namespace]).size === 0
    ? []
    : [
        {
          field: 'metadata.annotations',
          message: 'not global: its Services have the backends of their own cluster only',
        },
      ];
}

/** Objects that are described for another place than the lab. */
export function foreignNotes(object: Node | EndpointSlice, services: ReadonlySet<string>): FieldNote[] {
  if (object.kind === 'Node')
    return [{ field: 'kind', message: 'the lab makes the nodes that the topology names: this one plays no role' }];
  const notes: FieldNote[] = [];
  if (object.addressType !== 'IPv4')
    notes.push({ field: 'addressType', message: `${object.addressType} is not served: the lab is IPv4 only` });
  const name = object.metadata.labels['kubernetes.io/service-name'];
  if (name === undefined || !services.has(`${object.metadata.namespace}/${name}`))
    notes.push({
      field: 'metadata.labels',
      message:
        name === undefined
          ? 'kubernetes.io/service-name is missing: the slice belongs to no Service'
          : `kubernetes.io/service-name: there is no Service ${object.metadata.namespace}/${name}`,
    });
  return notes;
}

/** Replicas that a topology gives to workloads which do not count them. */
export function placementNotes(topology: Topology, workloads: readonly Workload[]): FieldNote[] {
  const notes: FieldNote[] = [];
  for (const workload of workloads) {
    const name = objectPath(workload);
    const placement = topology.placements.get(name);
    if (workload.kind !== 'DaemonSet' || !placement) continue;
    for (const { name: cluster, nodes } of topology.clusters) {
      const replicas = placement.get(cluster) ?? 0;
      if (replicas !== 0 && replicas !== nodes.length)
        notes.push({
          field: `workloads[${JSON.stringify(name)}].${cluster}`,
          message: `a DaemonSet runs once on each of the ${nodes.length} nodes (0: on none), not ${replicas} times`,
        });
    }
  }
  return notes;
}

/** Objects of a kind, typed. */
export function ofKind<K extends KubernetesObject['kind']>(
  objects: readonly KubernetesObject[],
  kind: K,
): Extract<KubernetesObject, { readonly kind: K }>[] {
  return objects.filter((object): object is Extract<KubernetesObject, { readonly kind: K }> => object.kind === kind);
}

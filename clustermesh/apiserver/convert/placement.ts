import { parseIp, parsePrefix } from '../../../values/ip/index.ts';
import type { Namespace, NetworkPolicy, Node, Pod } from '../../../kubernetes/index.ts';
import type {
  NamedPort,
  NamespaceRecord,
  NodeAssignmentRecord,
  PolicyRecord,
  WorkloadRecord,
} from '../../wire/index.ts';
import { understoodAnnotations } from './annotations.ts';

export function namespaceOf(namespace: Namespace): NamespaceRecord {
  const { name, labels, annotations } = namespace.metadata;
  return { name, labels, annotations: understoodAnnotations(annotations) };
}

export function nodeAssignmentOf(node: Node): NodeAssignmentRecord {
  const { name, labels } = node.metadata;
  const zone = labels['topology.kubernetes.io/zone'];
  const region = labels['topology.kubernetes.io/region'];
  return {
    node: name,
    podCidrs: node.spec.podCIDRs.map((cidr) => parsePrefix(cidr)),
    ...(zone ? { zone } : {}),
    ...(region ? { region } : {}),
    labels,
  };
}

/** Rules are handed on as they were written: the agents that apply them judge them. */
export function policyOf({ kind, metadata, generation, spec }: NetworkPolicy): PolicyRecord {
  const { namespace, name, uid } = metadata;
  return { kind, namespace, name, uid, generation, spec };
}

/** The node on which a pod has an endpoint of its own: placed, not on the host's network, not over. */
export function endpointNodeOf(pod: Pod): string | undefined {
  const over = pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';
  return over || pod.spec.hostNetwork ? undefined : pod.spec.nodeName;
}

/** @param hidden its namespace is not global. */
export function workloadOf(pod: Pod, node: string, identity: number, hidden: boolean): WorkloadRecord {
  return {
    node,
    namespace: pod.metadata.namespace,
    name: pod.metadata.name,
    uid: pod.metadata.uid,
    labels: pod.metadata.labels,
    identity,
    namedPorts: namedPortsOf(pod),
    serviceAccount: pod.spec.serviceAccountName,
    ips: pod.status.podIPs.map(parseIp),
    ...(hidden ? { hidden } : {}),
  };
}

/** A name that several containers use counts once, for the first. */
function namedPortsOf(pod: Pod): NamedPort[] {
  const ports = new Map<string, NamedPort>();
  for (const { name, containerPort: port, protocol } of pod.spec.ports)
    if (name !== undefined && !ports.has(name)) ports.set(name, { name, port, protocol });
  return [...ports.values()];
}

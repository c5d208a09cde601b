import type { EndpointSlice, Pod, Service, ServicePort } from '../../kubernetes/index.ts';
import { selects } from './place-services.ts';
import { answersOn, targetPortOf } from './target-ports.ts';

/** Something that a manifest asks for and the lab does otherwise, or not at all. */
export interface FieldNote {
  /** Dotted path within the object. */
  readonly field: string;
  readonly message: string;
}

/** What of a Service the lab does not do, or does otherwise than a cluster with kube-proxy and DNS. */
export function serviceNotes(service: Service, pods: readonly Pod[], slices: readonly EndpointSlice[]): FieldNote[] {
  const { spec } = service;
  if (spec.type === 'ExternalName')
    return [note('type', 'an ExternalName is an entry of DNS, which the lab does not have: it plays no role')];
  return [
    ...typeNotes(service),
    ...addressNotes(service),
    ...policyNotes(service),
    ...backendNotes(service, pods, slices),
  ];
}

function typeNotes({ spec }: Service): FieldNote[] {
  const notes: FieldNote[] = [];
  for (const [i, { nodePort, port }] of spec.ports.entries())
    if (nodePort !== undefined)
      notes.push(note(`ports[${i}].nodePort`, `NodePort ${nodePort} is not served: port ${port} of the ClusterIP is`));
  if (spec.type === 'NodePort' && notes.length === 0)
    notes.push(note('type', 'NodePorts are not served: the ClusterIP is'));
  if (spec.type === 'LoadBalancer' && spec.loadBalancerIPs.length === 0)
    notes.push(note('type', 'the lab has no load balancer to give an address: the ClusterIP is served'));
  for (const [field, addresses] of [
    ['externalIPs', spec.externalIPs],
    ['status.loadBalancer', spec.loadBalancerIPs],
  ] as const)
    if (addresses.length > 0)
      notes.push({
        field: field.startsWith('status') ? field : `spec.${field}`,
        message: `${addresses.join(', ')}: served to pods of the mesh only, nothing outside the lab comes in`,
      });
  if (spec.loadBalancerSourceRanges.length > 0)
    notes.push(note('loadBalancerSourceRanges', 'not applied: whoever reaches the address is served'));
  return notes;
}

function addressNotes({ spec }: Service): FieldNote[] {
  const notes: FieldNote[] = [];
  const [first] = spec.clusterIPs;
  if (first === 'None')
    notes.push(note('clusterIP', 'headless: it has no address, and the lab no DNS to name its pods; nobody calls it'));
  else if (first !== undefined)
    notes.push(
      note('clusterIPs', `${spec.clusterIPs.join(', ')}: replaced by an address of each cluster's serviceCIDR`),
    );
  const families = spec.ipFamilies ?? [];
  if (families.includes('IPv6'))
    notes.push(note('ipFamilies', `${families.join(', ')}: the lab is IPv4 only, so is the Service`));
  else if (spec.ipFamilyPolicy !== undefined && spec.ipFamilyPolicy !== 'SingleStack')
    notes.push(note('ipFamilyPolicy', `${spec.ipFamilyPolicy}: the lab is IPv4 only, so is the Service`));
  const other = [...spec.externalIPs, ...spec.loadBalancerIPs].filter((ip) => ip.includes(':'));
  if (other.length > 0) notes.push(note('externalIPs', `${other.join(', ')}: IPv6 is not served`));
  return notes;
}

/** Session affinity and the two traffic policies are done. */
function policyNotes({ spec }: Service): FieldNote[] {
  return spec.trafficDistribution === undefined
    ? []
    : [note('trafficDistribution', `${spec.trafficDistribution}: not applied, every backend is as near as any other`)];
}

function backendNotes(service: Service, pods: readonly Pod[], slices: readonly EndpointSlice[]): FieldNote[] {
  const { spec, metadata } = service;
  if (spec.ports.length === 0 && spec.clusterIPs[0] !== 'None') return [note('ports', 'there is none to call')];
  const sctp = spec.ports.flatMap(({ protocol, port }, i) =>
    protocol === 'SCTP' ? [note(`ports[${i}].protocol`, `port ${port} is not served: SCTP is not translated`)] : [],
  );
  if (!spec.selector || Object.keys(spec.selector).length === 0) {
    const own = slices.some(
      (slice) =>
        slice.metadata.namespace === metadata.namespace &&
        slice.metadata.labels['kubernetes.io/service-name'] === metadata.name,
    );
    return own ? sctp : [...sctp, note('selector', 'neither a selector nor an EndpointSlice: it refuses every call')];
  }
  const selected = pods.filter((pod) => selects(service, pod));
  if (selected.length === 0) return [...sctp, note('selector', 'its selector matches no pod: it refuses every call')];
  const ports = spec.ports.flatMap((port, i) => targetNotes(port, `ports[${i}].targetPort`, selected));
  return [...sctp, ...ports];
}

function targetNotes(port: ServicePort, field: string, pods: readonly Pod[]): FieldNote[] {
  if (port.protocol === 'SCTP') return [];
  const target = `${JSON.stringify(port.targetPort)} (${port.protocol})`;
  const nowhere = pods.filter((pod) => targetPortOf(port, pod) === undefined).length;
  if (nowhere > 0) {
    const so = nowhere === pods.length ? `port ${port.port} refuses every call` : 'the others are no backends of it';
    return [note(field, `${target} names a container port of ${having(nowhere, pods.length)}: ${so}`)];
  }
  const deaf = pods.filter((pod) => !answersOn(port, pod)).length;
  if (deaf === 0) return [];
  return [
    note(
      field,
      `${target} is a container port of ${having(deaf, pods.length)}: the lab's pods listen on declared ports`,
    ),
  ];
}

function having(lacking: number, all: number): string {
  return lacking === all ? `none of the ${all} selected pods` : `${all - lacking} of the ${all} selected pods only`;
}

function note(field: string, message: string): FieldNote {
  return { field: `spec.${field}`, message };
}

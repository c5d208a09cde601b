import { type IpRecord, type NodeAssignmentRecord, type NodeRecord } from '../../clustermesh/index.ts';
import { hostPrefix, type IpAddress } from '../../values/ip/index.ts';
import type { NodeEndpoint } from '../endpoints/index.ts';

/** What an agent says of its own node. */
export interface OwnNodeFacts {
  readonly cluster: string;
  readonly clusterId: number;
  readonly name: string;
  readonly ip: IpAddress;
  readonly bootId: string;
}

/** The record of the own node; `assignment` is what the cluster gave it. */
export function ownNodeRecord(own: OwnNodeFacts, assignment: NodeAssignmentRecord | undefined): NodeRecord {
  return {
    name: own.name,
    cluster: own.cluster,
    clusterId: own.clusterId,
    addresses: [{ type: 'InternalIP', ip: own.ip }],
    podCidrs: assignment?.podCidrs ?? [],
    healthIps: [],
    ingressIps: [],
    source: 'local',
    encryptionKey: 0,
    labels: assignment?.labels ?? null,
    annotations: null,
    // Releases before 1.20 expect the member.
    nodeIdentity: 0,
    wireguardPublicKey: '',
    bootId: own.bootId,
  };
}

/** The record of one address of an endpoint, as an agent in Cilium's kvstore mode writes it (kvstore-schema §5). */
export function endpointIpRecord(own: OwnNodeFacts, endpoint: NodeEndpoint, address: IpAddress): IpRecord {
  return {
    prefix: hostPrefix(address),
    cidr: false,
    hostIp: own.ip,
    identity: endpoint.identity,
    encryptKey: 0,
    metadata: `cilium-global:default:${own.name}:${endpoint.endpointId}`,
    namespace: endpoint.namespace,
    podName: endpoint.name,
    serviceAccount: endpoint.serviceAccount,
    namedPorts: endpoint.namedPorts.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

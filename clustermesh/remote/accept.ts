import { type IpAddress, type Prefix, formatPrefix, hostPrefix } from '../../values/ip/index.ts';
import { type AddressRules, RecordRefusedError } from '../acceptance/index.ts';
import type { ClusterServiceRecord, EndpointSliceRecord, IpRecord, NodeRecord } from '../wire/index.ts';

/** An address lies where its cluster may have addresses, behind a host that is none of ours. @throws {RecordRefusedError} */
export function requireIp(record: IpRecord, rules: AddressRules): void {
  requirePrefix('IP', record.prefix, rules);
  requireHost('HostIP', record.hostIp, rules);
}

/**
 * A node's pod CIDRs lead traffic to it like addresses do. Its own addresses only must not be ours: node networks overlap
 * in real life, and lie outside of what a peer's `allowedCIDRs` name. @throws {RecordRefusedError}
 */
export function requireNode(record: NodeRecord, rules: AddressRules): void {
  for (const prefix of record.podCidrs) requirePrefix('AllocCIDR', prefix, rules);
  for (const { ip } of record.addresses) requireHost('IPAddresses', ip, rules);
  for (const ip of record.healthIps) requireHost('HealthIP', ip, rules);
  for (const ip of record.ingressIps) requireHost('IngressIP', ip, rules);
}

/** Backends are where our own clients are sent. Nobody uses the frontends. @throws {RecordRefusedError} */
export function requireService(record: ClusterServiceRecord, rules: AddressRules): void {
  for (const ip of Object.keys(record.backends)) requirePrefix('backends', hostPrefix(ip), rules);
}

/** The same of the other form. @throws {RecordRefusedError} */
export function requireSlice(record: EndpointSliceRecord, rules: AddressRules): void {
  for (const { addresses } of record.endpoints)
    for (const ip of addresses) requirePrefix('endpoints', hostPrefix(ip), rules);
}

function requirePrefix(field: string, prefix: Prefix, rules: AddressRules): void {
  const problem = rules.problem(prefix);
  if (problem) throw new RecordRefusedError(problem, field, rules.expected(problem), formatPrefix(prefix));
}

function requireHost(field: string, host: IpAddress, rules: AddressRules): void {
  const problem = rules.hostProblem(host);
  if (problem) throw new RecordRefusedError(problem, field, rules.expected(problem), host);
}

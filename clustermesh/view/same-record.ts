import { isDeepStrictEqual } from 'node:util';
import type { IdentityRecord, IpRecord, NodeRecord } from '../wire/records.ts';

/** Records under one prefix are compared far more often than any other: member by member. */
export function sameIp(a: IpRecord, b: IpRecord): boolean {
  return (
    a.hostIp === b.hostIp &&
    a.identity === b.identity &&
    a.encryptKey === b.encryptKey &&
    a.cidr === b.cidr &&
    a.podName === b.podName &&
    a.namespace === b.namespace &&
    a.serviceAccount === b.serviceAccount &&
    a.metadata === b.metadata &&
    (a.namedPorts === b.namedPorts || isDeepStrictEqual(a.namedPorts, b.namedPorts))
  );
}

export function sameNode(a: NodeRecord, b: NodeRecord): boolean {
  return isDeepStrictEqual(a, b);
}

export function sameIdentity(a: IdentityRecord, b: IdentityRecord): boolean {
  return isDeepStrictEqual(a.labels, b.labels);
}

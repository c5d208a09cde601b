import { isDeepStrictEqual } from 'node:util';
import type { IdentityRecord, NodeRecord } from '../wire/records.ts';

export function sameNode(a: NodeRecord, b: NodeRecord): boolean {
  return isDeepStrictEqual(a, b);
}

export function sameIdentity(a: IdentityRecord, b: IdentityRecord): boolean {
  return isDeepStrictEqual(a.labels, b.labels);
}

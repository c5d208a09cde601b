import { InvalidRecordError } from '../wire/invalid-record.ts';
import type { AddressProblem, HostProblem } from './address-rules.ts';

/** Why a value of another cluster is refused, as a word that is counted. */
export type RefusalCode =
  /** It does not parse, or lacks what it must have. */
  | 'malformed'
  /** It bears the name or the id of another cluster. */
  | 'foreign-cluster'
  /** An identity that is neither of the cluster's range nor a reserved one, or whose labels name another cluster. */
  | 'foreign-identity'
  /** An identity with a label that says what something is (`reserved:host`, `cidr:…`), rather than how it is labelled. */
  | 'special-identity'
  | AddressProblem
  | HostProblem;

export const refusalCodes: readonly RefusalCode[] = [
  'malformed',
  'foreign-cluster',
  'foreign-identity',
  'special-identity',
  'own-address',
  'special-address',
  'not-allowed',
  'own-host',
  'special-host',
];

/** A record in good form that says what its cluster may not say here. Other rules may let it pass. */
export class RecordRefusedError extends Error {
  readonly code = 'CLUSTERMESH_RECORD_REFUSED';
  readonly refusal: AddressProblem | HostProblem;

  constructor(refusal: AddressProblem | HostProblem, field: string, expected: string, found: string) {
    super(`${field} must be ${expected}, found ${found}`);
    this.name = 'RecordRefusedError';
    this.refusal = refusal;
  }
}

export function refusalCodeOf(error: unknown): RefusalCode {
  if (error instanceof RecordRefusedError) return error.refusal;
  return error instanceof InvalidRecordError ? error.fault : 'malformed';
}

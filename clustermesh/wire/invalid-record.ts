/**
 * What kind of mistake it is: bad form, another cluster's name or id, an identity that is not its cluster's, or one that claims to be
 * what only reserved and node-local identities are.
 */
export type RecordFault = 'malformed' | 'foreign-cluster' | 'foreign-identity' | 'special-identity';

/**
 * A key or value that is not what its place promises: somebody else's fault. The reader skips it and keeps the version
 * that it accepted before; nobody retries.
 */
export class InvalidRecordError extends Error {
  readonly code = 'CLUSTERMESH_INVALID_RECORD';
  readonly key: string;
  /** Dotted path of the member, as the record spells it; empty for the value as a whole. */
  readonly field: string;
  /** What would have been right. */
  readonly expected: string;
  readonly fault: RecordFault;

  constructor(
    key: string,
    field: string,
    expected: string,
    found: unknown,
    options: ErrorOptions & { readonly fault?: RecordFault } = {},
  ) {
    const where = field === '' ? `Value of ${key}` : `Member ${field} of ${key}`;
    super(`${where} must be ${expected}, found ${shown(found)}`, options);
    this.name = 'InvalidRecordError';
    this.key = key;
    this.field = field;
    this.expected = expected;
    this.fault = options.fault ?? 'malformed';
  }
}

const longest = 80;

function shown(found: unknown): string {
  const text = found === undefined ? 'nothing' : JSON.stringify(found);
  return text.length <= longest ? text : `${text.slice(0, longest)}… (${text.length} characters)`;
}

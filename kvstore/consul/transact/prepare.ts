import { type Compare, InvalidRequestError, type Operation, type Transaction, toBytes } from '../../contract/index.ts';
import { keyText } from '../keys.ts';

/** Consul's own limit of operations in one transaction; checks count, too. */
export const maxOperations = 128;
/** Consul's `kv_max_value_size` unless it was configured. */
export const maxValueBytes = 512 * 1024;

export type Step =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array; readonly lease: bigint }
  | { readonly type: 'delete'; readonly key: string }
  | { readonly type: 'get'; readonly key: string };

export interface Condition {
  readonly key: string;
  readonly compare: Compare;
}

export interface Prepared {
  readonly when: readonly Condition[];
  readonly then: readonly Step[];
  readonly otherwise: readonly Step[];
}

/** Checks a transaction and takes its keys as text. @throws {InvalidRequestError} */
export function prepare(transaction: Transaction): Prepared {
  return {
    when: transaction.when.map(conditionOf),
    then: stepsOf(transaction.then),
    otherwise: stepsOf(transaction.otherwise ?? []),
  };
}

function conditionOf(compare: Compare): Condition {
  const condition = { key: keyText(compare.key), compare };
  if (compare.target === 'version' && !versionIsKnown(compare.result, compare.value))
    throw new InvalidRequestError(
      `Consul does not count the writes of ${JSON.stringify(condition.key)}: version ${compare.result} ${compare.value} cannot be compared`,
    );
  return condition;
}

/** Only absent, written once, and written more often are told apart. */
function versionIsKnown(result: Compare['result'], value: number): boolean {
  return value <= (result === 'less' ? 2 : 1);
}

function stepsOf(operations: readonly Operation[]): Step[] {
  if (operations.length > maxOperations)
    throw new InvalidRequestError(`A branch takes ${maxOperations} operations, not ${operations.length}`);
  const written = new Set<string>();
  return operations.map((operation) => {
    const key = keyText(operation.key);
    if (operation.type === 'get') return { type: 'get', key };
    if (written.has(key)) throw new InvalidRequestError(`Key ${JSON.stringify(key)} is written twice in one branch`);
    written.add(key);
    if (operation.type === 'delete') return { type: 'delete', key };
    // A copy: attempts are repeated, and the caller may use its buffer again.
    const value = new Uint8Array(toBytes(operation.value));
    if (value.length > maxValueBytes) throw valueTooLarge(key, value.length);
    return { type: 'put', key, value, lease: operation.lease ?? 0n };
  });
}

export function valueTooLarge(key: string, bytes: number): InvalidRequestError {
  return new InvalidRequestError(
    `Cannot write ${JSON.stringify(key)}: Consul holds values of up to ${maxValueBytes} bytes, not of ${bytes}`,
  );
}

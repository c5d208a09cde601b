import type { Bytes, KeyValue } from './key-value.ts';

export type CompareResult = 'equal' | 'not-equal' | 'greater' | 'less';

/** A condition on one key. An absent key has create, mod and version 0. */
export type Compare =
  | {
      readonly key: Bytes;
      readonly target: 'create' | 'mod' | 'version';
      readonly result: CompareResult;
      readonly value: number;
    }
  | { readonly key: Bytes; readonly target: 'lease'; readonly result: CompareResult; readonly value: bigint }
  | { readonly key: Bytes; readonly target: 'value'; readonly result: CompareResult; readonly value: Bytes };

export type Operation =
  | { readonly type: 'put'; readonly key: Bytes; readonly value: Bytes; readonly lease?: bigint }
  | { readonly type: 'delete'; readonly key: Bytes }
  | { readonly type: 'get'; readonly key: Bytes };

/**
 * If every comparison holds, `then` is applied, else `otherwise`; all writes become one revision. A key may be written
 * once per branch. At most 128 operations a branch (etcd's default `--max-txn-ops`).
 */
export interface Transaction {
  readonly when: readonly Compare[];
  readonly then: readonly Operation[];
  readonly otherwise?: readonly Operation[];
}

export interface TransactionResult {
  readonly succeeded: boolean;
  readonly revision: number;
  /** One for each operation of the branch that was applied, in its order. */
  readonly results: readonly OperationResult[];
}

export type OperationResult =
  | { readonly type: 'put' }
  | { readonly type: 'delete'; readonly deleted: number }
  | { readonly type: 'get'; readonly entry: KeyValue | undefined };

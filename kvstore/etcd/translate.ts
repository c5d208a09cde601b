import type { Compare, Operation, OperationResult } from '../contract/index.ts';
import { ProtocolError, toBytes } from '../contract/index.ts';
import type { Decoded, Encodable, compare, requestOp, txnOutcome } from './wire/index.ts';

/** A condition as etcd takes it. */
export function toWireCompare(condition: Compare): Encodable<typeof compare> {
  const base = { key: toBytes(condition.key), result: condition.result, target: condition.target };
  switch (condition.target) {
    case 'create':
      return { ...base, createRevision: condition.value };
    case 'mod':
      return { ...base, modRevision: condition.value };
    case 'version':
      return { ...base, version: condition.value };
    case 'lease':
      return { ...base, lease: condition.value };
    case 'value':
      return { ...base, value: toBytes(condition.value) };
  }
}

export function toWireOperation(operation: Operation): Encodable<typeof requestOp> {
  const key = toBytes(operation.key);
  switch (operation.type) {
    case 'put':
      return { put: { key, value: toBytes(operation.value), lease: operation.lease ?? 0n } };
    case 'delete':
      return { deleteRange: { key } };
    case 'get':
      return { range: { key } };
  }
}

export function fromWireResult(result: Decoded<typeof txnOutcome>['responses'][number]): OperationResult {
  if (result.put) return { type: 'put' };
  if (result.deleteRange) return { type: 'delete', deleted: result.deleteRange.deleted };
  if (result.range) return { type: 'get', entry: result.range.kvs[0] };
  throw new ProtocolError('Answer to a transaction has an operation of no known kind');
}

import {
  type Compare,
  CompactedError,
  type EngineCompare,
  EngineError,
  FutureRevisionError,
  InvalidRequestError,
  type KeyRange,
  LeaseNotFoundError,
  NoSpaceError,
  type Operation,
  type OperationResult,
  type RequestOp,
  type ResponseOp,
  UnavailableError,
  prefixEnd,
  toBytes,
} from '../contract/index.ts';
import { plainKeyValue } from './row.ts';

/** The store error for what an engine threw while it did `what`; other errors pass. */
export function toStoreError(error: unknown, what: string, compactRevision: number): unknown {
  if (!(error instanceof EngineError)) return error;
  const options = { cause: error };
  switch (error.grpcCode) {
    case 3:
      return new InvalidRequestError(error.message, options);
    case 5:
      return new LeaseNotFoundError(error.message, options);
    case 8:
      return new NoSpaceError(error.message, options);
    case 11:
      if (error.message.includes('compacted')) return new CompactedError(`read ${what}`, compactRevision, options);
      if (error.message.includes('future'))
        return new FutureRevisionError(`Cannot read ${what}: ${error.message}`, options);
      return new InvalidRequestError(error.message, options);
    case 14:
      return new UnavailableError(error.message, options);
    case 15:
      return new UnavailableError(error.cause instanceof Error ? error.cause.message : error.message, options);
    default:
      return error;
  }
}

/** All keys that begin with `prefix`; an empty prefix means all keys. */
export function prefixRange(prefix: Uint8Array): Required<KeyRange> {
  if (prefix.length === 0) return { key: new Uint8Array([0]), rangeEnd: new Uint8Array([0]) };
  return { key: prefix, rangeEnd: prefixEnd(prefix) };
}

export function toEngineCompare(compare: Compare): EngineCompare {
  const key = toBytes(compare.key);
  const { result } = compare;
  switch (compare.target) {
    case 'create':
      return { key, result, target: 'create', createRevision: compare.value };
    case 'mod':
      return { key, result, target: 'mod', modRevision: compare.value };
    case 'version':
      return { key, result, target: 'version', version: compare.value };
    case 'lease':
      return { key, result, target: 'lease', lease: compare.value };
    case 'value':
      return { key, result, target: 'value', value: toBytes(compare.value) };
  }
}

export function toRequestOp(operation: Operation): RequestOp {
  const key = toBytes(operation.key);
  switch (operation.type) {
    case 'put':
      return { type: 'put', request: { key, value: toBytes(operation.value), lease: operation.lease ?? 0n } };
    case 'delete':
      return { type: 'delete', request: { key } };
    case 'get':
      return { type: 'range', request: { key } };
  }
}

export function toOperationResult(op: ResponseOp): OperationResult {
  switch (op.type) {
    case 'put':
      return { type: 'put' };
    case 'delete':
      return { type: 'delete', deleted: op.response.deleted };
    case 'range':
      return { type: 'get', entry: op.response.kvs[0] && plainKeyValue(op.response.kvs[0]) };
    case 'txn':
      throw new TypeError('A store transaction has no nested transactions');
  }
}

import type { DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest } from '../contract/index.ts';
import { engineErrors } from './engine-errors.ts';
import { keyText, Span } from './span.ts';

/** What a request may ask for at most; the defaults are etcd's. */
export interface Limits {
  readonly maxTxnOps: number;
  readonly maxRequestBytes: number;
  readonly maxKeyBytes: number;
}

export const defaultLimits = { maxTxnOps: 128, maxRequestBytes: 1.5 * 1024 * 1024 } as const;

// The checks and their order follow etcd `server/etcdserver/api/v3rpc/key.go`; the size is checked last there too.

export function checkRange(request: RangeRequest): void {
  if (request.key.length === 0) throw engineErrors.emptyKey();
}

export function checkPut(request: PutRequest, limits: Limits): void {
  if (request.key.length === 0) throw engineErrors.emptyKey();
  if (request.ignoreValue && request.value.length > 0) throw engineErrors.valueProvided();
  if (request.ignoreLease && request.lease) throw engineErrors.leaseProvided();
  if (request.key.length > limits.maxKeyBytes) throw engineErrors.keyTooLong(request.key.length, limits.maxKeyBytes);
}

export function checkDelete(request: DeleteRangeRequest): void {
  if (request.key.length === 0) throw engineErrors.emptyKey();
}

export function checkTxn(request: TxnRequest, limits: Limits): void {
  checkTxnShape(request, limits, limits.maxTxnOps);
  // As many as one without nested ones may have: a branch full of them, and as many comparisons.
  if (rangesIn(request) > 2 * limits.maxTxnOps) throw engineErrors.tooManyOperations();
  if (opsIn(request) > maxBranchesFull * limits.maxTxnOps) throw engineErrors.tooManyOperations();
  checkOverlaps(request.success);
  checkOverlaps(request.failure);
}

/** Refuses what etcd would refuse to propose. */
export function checkSize(bytes: number, limits: Limits): void {
  if (bytes > limits.maxRequestBytes) throw engineErrors.requestTooLarge();
}

export function putBytes(request: PutRequest): number {
  return field(request.key.length) + field(request.value.length) + (request.lease ? 10 : 0);
}

export function txnBytes(request: TxnRequest): number {
  let bytes = 0;
  for (const compare of request.compare)
    bytes += field(6 + field(compare.key.length) + field(compare.value?.length ?? 0));
  for (const op of [...request.success, ...request.failure]) bytes += field(opBytes(op));
  return bytes;
}

function opBytes(op: RequestOp): number {
  switch (op.type) {
    case 'put':
      return field(putBytes(op.request));
    case 'txn':
      return field(txnBytes(op.request));
    case 'range':
    case 'delete':
      return field(field(op.request.key.length) + field(op.request.rangeEnd?.length ?? 0));
  }
}

/** Bytes of a length-delimited protobuf field with a one-byte tag. */
function field(length: number): number {
  if (length === 0) return 0;
  return 1 + (length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x200000 ? 3 : 4) + length;
}

function checkTxnShape(request: TxnRequest, limits: Limits, allowed: number): void {
  const count = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (count > allowed) throw engineErrors.tooManyOperations();
  for (const compare of request.compare) if (compare.key.length === 0) throw engineErrors.emptyKey();
  for (const op of [...request.success, ...request.failure]) {
    if (op.type === 'range') checkRange(op.request);
    else if (op.type === 'put') checkPut(op.request, limits);
    else if (op.type === 'delete') checkDelete(op.request);
    else checkTxnShape(op.request, limits, allowed - count);
  }
}

/** Operations and comparisons, those of both branches and of nested ones, that a transaction may hold: so many full branches. */
const maxBranchesFull = 64;

function opsIn({ compare, success, failure }: TxnRequest): number {
  let count = compare.length;
  for (const op of [...success, ...failure]) count += op.type === 'txn' ? 1 + opsIn(op.request) : 1;
  return count;
}

/**
 * Walks over ranges that can run together, nested ones included. etcd bounds operations by branch and depth only, so that
 * nesting multiplies them.
 */
function rangesIn({ compare, success, failure }: TxnRequest): number {
  const ofBranch = (ops: readonly RequestOp[]): number =>
    ops.reduce((sum, op) => {
      if (op.type === 'txn') return sum + rangesIn(op.request);
      return sum + (op.type === 'put' ? 0 : isRange(op.request));
    }, 0);
  return compare.reduce((sum, one) => sum + isRange(one), Math.max(ofBranch(success), ofBranch(failure)));
}

function isRange({ rangeEnd }: { readonly rangeEnd?: Uint8Array }): number {
  return rangeEnd !== undefined && rangeEnd.length > 0 ? 1 : 0;
}

interface Written {
  readonly puts: Set<string>;
  readonly deletes: Span[];
}

/** No key may be written twice by what can run together; the two branches of a nested transaction exclude each other. */
function checkOverlaps(ops: readonly RequestOp[]): Written {
  const deletes = ops.flatMap((op) => (op.type === 'delete' && !isToTheEnd(op.request) ? [new Span(op.request)] : []));
  const puts = new Set<string>();
  const add = (key: string, bytes: Uint8Array, allowedTwice?: Set<string>): void => {
    if (puts.has(key) && !allowedTwice?.has(key)) throw engineErrors.duplicateKey();
    if (deletes.some((span) => span.contains(bytes))) throw engineErrors.duplicateKey();
    puts.add(key);
  };
  for (const op of ops) {
    if (op.type !== 'txn') continue;
    const onSuccess = checkOverlaps(op.request.success);
    const onFailure = checkOverlaps(op.request.failure);
    for (const key of onSuccess.puts) add(key, Buffer.from(key, 'latin1'));
    for (const key of onFailure.puts) add(key, Buffer.from(key, 'latin1'), onSuccess.puts);
    deletes.push(...onSuccess.deletes, ...onFailure.deletes);
  }
  for (const op of ops) if (op.type === 'put') add(keyText(op.request.key), op.request.key);
  return { puts, deletes };
}

/** etcd's check takes a range end of one zero byte literally, so that "delete from this key to the end" overlaps nothing. */
function isToTheEnd(request: DeleteRangeRequest): boolean {
  return request.rangeEnd?.length === 1 && request.rangeEnd[0] === 0;
}

import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  EngineCompare,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from '../../contract/index.ts';
import { shortRows } from '../../engine/index.ts';
import {
  type Decoded,
  type RequestOpOut,
  type ResponseOpIn,
  type TxnRequestOut,
  type TxnResponseIn,
  type compare,
  type deleteRangeRequest,
  grpcStatus,
  methods,
  type putRequest,
  type rangeRequest,
} from '../wire/index.ts';
import { GrpcFailure } from './grpc-call.ts';
import { deletePieces, isLong, rangePieces, txnPieces } from './long-answers.ts';
import { type UnaryCall, unaryCall } from './unary-call.ts';

/** The KV service. Shapes are turned here; what a request may ask for, the engine checks. */
export const kvCalls: readonly [string, UnaryCall][] = [
  unaryCall(
    methods.range,
    async ({ engine, header }, request, reader) => {
      const { revision, ...answer } = await engine.range(toRange(request), reader);
      return { ...answer, header: header(revision) };
    },
    { wide: isWideRange, pieces: (answer) => (isLong(answer.kvs) ? rangePieces(answer) : undefined) },
  ),
  unaryCall(methods.put, async ({ engine, header }, request) => {
    const { revision, prevKv } = await engine.put(toPut(request));
    return { header: header(revision), prevKv };
  }),
  unaryCall(
    methods.deleteRange,
    async ({ engine, header }, request, reader) => {
      const { revision, ...answer } = await engine.deleteRange(toDelete(request), reader);
      return { ...answer, header: header(revision) };
    },
    { wide: isWideDelete, pieces: (answer) => (isLong(answer.prevKvs) ? deletePieces(answer) : undefined) },
  ),
  unaryCall(
    methods.txn,
    async ({ engine, header }, request, reader) => {
      const answer = await engine.txn(toTxn(request), reader);
      return { ...fromTxn(answer), header: header(answer.revision) };
    },
    { wide: isWideTxn, pieces: txnPieces },
  ),
  unaryCall(methods.compact, async ({ engine, header }, request) => {
    const { revision } = await engine.compact(request.revision);
    return { header: header(revision) };
  }),
];

/** An old revision of one key may have to be looked for in a long history. */
function isWideRange({ rangeEnd, revision }: Decoded<typeof rangeRequest>): boolean {
  return rangeEnd.length > 0 || revision > 0;
}

function isWideDelete({ rangeEnd, prevKv }: Decoded<typeof deleteRangeRequest>): boolean {
  return rangeEnd.length > 0 && prevKv;
}

/** Many single rows are many, too; what is written stands in the request and needs no place. */
function isWideTxn({ compare: compares, success, failure }: TxnRequestOut): boolean {
  const looks = (ops: readonly RequestOpOut[]): number => ops.filter(({ range }) => range).length;
  return (
    compares.length + Math.max(looks(success), looks(failure)) > shortRows ||
    compares.some(({ rangeEnd }) => rangeEnd.length > 0) ||
    [success, failure].some((ops) =>
      ops.some(
        ({ range, deleteRange, txn }) =>
          txn !== undefined || (range && isWideRange(range)) || (deleteRange && isWideDelete(deleteRange)),
      ),
    )
  );
}

/** An empty range end means one key, which the engine's request says by leaving it out. */
function rangeEndOf(rangeEnd: Uint8Array): { readonly rangeEnd?: Uint8Array } {
  return rangeEnd.length === 0 ? {} : { rangeEnd };
}

function toRange(request: Decoded<typeof rangeRequest>): RangeRequest {
  const { sortOrder, sortTarget, rangeEnd, serializable: _, ...rest } = request;
  if (request.key.length > 0 && (sortOrder === 'unrecognized' || sortTarget === 'unrecognized'))
    throw new GrpcFailure(grpcStatus.invalidArgument, 'etcdserver: invalid sort option');
  return {
    ...rest,
    ...rangeEndOf(rangeEnd),
    ...(sortOrder === 'unrecognized' ? {} : { sortOrder }),
    ...(sortTarget === 'unrecognized' ? {} : { sortTarget }),
  };
}

function toPut(request: Decoded<typeof putRequest>): PutRequest {
  return request;
}

function toDelete(request: Decoded<typeof deleteRangeRequest>): DeleteRangeRequest {
  return { key: request.key, prevKv: request.prevKv, ...rangeEndOf(request.rangeEnd) };
}

function toTxn(request: TxnRequestOut): TxnRequest {
  return {
    compare: request.compare.map(toCompare),
    success: request.success.map(toOp),
    failure: request.failure.map(toOp),
  };
}

function toCompare(wanted: Decoded<typeof compare>): EngineCompare {
  const { result, target, key, rangeEnd } = wanted;
  if (result === 'unrecognized' || target === 'unrecognized')
    throw new GrpcFailure(grpcStatus.invalidArgument, 'isthmus: unknown comparison');
  const common = { result, key, ...rangeEndOf(rangeEnd) };
  switch (target) {
    case 'version':
      return { ...common, target, version: wanted.version ?? 0 };
    case 'create':
      return { ...common, target, createRevision: wanted.createRevision ?? 0 };
    case 'mod':
      return { ...common, target, modRevision: wanted.modRevision ?? 0 };
    case 'value':
      return { ...common, target, value: wanted.value ?? new Uint8Array(0) };
    case 'lease':
      return { ...common, target, lease: wanted.lease ?? 0n };
  }
}

function toOp(op: RequestOpOut): RequestOp {
  if (op.range) return { type: 'range', request: toRange(op.range) };
  if (op.put) return { type: 'put', request: toPut(op.put) };
  if (op.deleteRange) return { type: 'delete', request: toDelete(op.deleteRange) };
  if (op.txn) return { type: 'txn', request: toTxn(op.txn) };
  throw new GrpcFailure(grpcStatus.invalidArgument, 'etcdserver: key not found');
}

/** Headers inside a transaction's answer name the revision and nothing else, as etcd's do. */
function inner<T extends { readonly revision: number }>(
  response: T,
): Omit<T, 'revision'> & { readonly header: { readonly revision: number } } {
  const { revision, ...rest } = response;
  return { ...rest, header: { revision } };
}

function fromOp(op: ResponseOp): ResponseOpIn {
  switch (op.type) {
    case 'range':
      return { range: inner<RangeResponse>(op.response) };
    case 'put':
      return { put: inner<PutResponse>(op.response) };
    case 'delete':
      return { deleteRange: inner<DeleteRangeResponse>(op.response) };
    case 'txn':
      return { txn: { ...fromTxn(op.response), header: {} } };
  }
}

function fromTxn(response: TxnResponse): TxnResponseIn {
  return { succeeded: response.succeeded, responses: response.responses.map(fromOp) };
}

import type { KeyValue } from '../../contract/index.ts';
import { type Steps, bytesOf, stepRows } from '../../engine/index.ts';
import {
  type Encodable,
  ProtoWriter,
  type ResponseOpIn,
  type TxnResponseIn,
  deleteRangeResponse,
  encode,
  leaseTimeToLiveResponse,
  rangeResponse,
  sizeOfKeyValues,
  txnResponse,
  wireType,
} from '../wire/index.ts';

type RangeResponseIn = Encodable<typeof rangeResponse>;
type DeleteResponseIn = Encodable<typeof deleteRangeResponse>;

const pieceBytes = 256 * 1024;
// Field numbers of etcd's `rpc.proto`.
const field = { txnResponses: 3, opRange: 1, opDelete: 3, opTxn: 4 } as const;

/** Whether an answer with so many rows is worth more than one piece. */
export function isLong(kvs: readonly KeyValue[] = []): boolean {
  return endOfPiece(kvs, 0) < kvs.length;
}

/** A range's answer in pieces that, one after the other, are the message: of protobuf the parts of a list may stand apart. */
export function* rangePieces(response: RangeResponseIn): Steps<Buffer[]> {
  const { header, kvs = [], more, count } = response;
  const pieces = [encode(rangeResponse, { header })];
  for (let start = 0; start < kvs.length;) {
    const end = endOfPiece(kvs, start);
    const part = kvs.slice(start, end);
    pieces.push(encode(rangeResponse, { kvs: part }, sizeOfKeyValues(part)));
    start = end;
    yield part.length;
  }
  pieces.push(encode(rangeResponse, { more, count }));
  return pieces;
}

/** The same of a deletion's, with what it deleted. */
export function* deletePieces({ prevKvs = [], ...answer }: DeleteResponseIn): Steps<Buffer[]> {
  const pieces = [encode(deleteRangeResponse, answer)];
  for (let start = 0; start < prevKvs.length;) {
    const end = endOfPiece(prevKvs, start);
    const part = prevKvs.slice(start, end);
    pieces.push(encode(deleteRangeResponse, { prevKvs: part }, sizeOfKeyValues(part)));
    start = end;
    yield part.length;
  }
  return pieces;
}

/** The same of a transaction's, nested ones included. */
export function* txnPieces({ header, succeeded, responses = [] }: TxnResponseIn): Steps<Buffer[]> {
  const pieces = [encode(txnResponse, { header, succeeded })];
  let short: ResponseOpIn[] = [];
  let rows = 0;
  let bytes = 0;
  const flush = (): void => {
    if (short.length > 0) pieces.push(encode(txnResponse, { responses: short }));
    short = [];
    rows = 0;
    bytes = 0;
  };
  for (const op of responses) {
    const { range, deleteRange, txn } = op;
    if (txn) {
      flush();
      pieces.push(...embedded(field.txnResponses, embedded(field.opTxn, yield* txnPieces(txn))));
    } else if (range && isLong(range.kvs)) {
      flush();
      pieces.push(...embedded(field.txnResponses, embedded(field.opRange, yield* rangePieces(range))));
    } else if (deleteRange && isLong(deleteRange.prevKvs)) {
      flush();
      pieces.push(...embedded(field.txnResponses, embedded(field.opDelete, yield* deletePieces(deleteRange))));
    } else {
      short.push(op);
      const kvs = range?.kvs ?? deleteRange?.prevKvs ?? [];
      rows += 1 + kvs.length;
      for (const kv of kvs) bytes += bytesOf(kv);
      if (rows < stepRows && bytes < pieceBytes) continue;
      yield rows;
      flush();
    }
  }
  flush();
  return pieces;
}

/** The same of a lease with its keys. */
export function* leasePieces({ keys = [], ...lease }: Encodable<typeof leaseTimeToLiveResponse>): Steps<Buffer[]> {
  const pieces = [encode(leaseTimeToLiveResponse, lease)];
  for (let start = 0; start < keys.length; start += stepRows) {
    pieces.push(encode(leaseTimeToLiveResponse, { keys: keys.slice(start, start + stepRows) }));
    yield stepRows;
  }
  return pieces;
}

/** A piece of so many rows and bytes, at least one row. */
function endOfPiece(kvs: readonly KeyValue[], start: number): number {
  let bytes = 0;
  let end = start;
  while (end < kvs.length && end - start < stepRows && bytes < pieceBytes) {
    const kv = kvs[end++];
    if (kv) bytes += bytesOf(kv);
  }
  return end;
}

/** The pieces as one message inside another. */
function embedded(number: number, pieces: readonly Buffer[]): Buffer[] {
  const writer = new ProtoWriter(0, 16);
  writer.tag(number, wireType.bytes);
  writer.uint32(pieces.reduce((sum, piece) => sum + piece.length, 0));
  return [writer.finish(), ...pieces];
}

import { header } from './header.ts';
import { keyValue } from './key-value.ts';
import {
  type Codec,
  type Decoded,
  type Encodable,
  bool,
  bytes,
  clampedInt64,
  enumeration,
  int64,
  message,
  nested,
  optional,
  presence,
  repeated,
  signedId,
} from './message.ts';

export const rangeRequest = message({
  key: bytes(1),
  rangeEnd: bytes(2),
  limit: clampedInt64(3),
  revision: clampedInt64(4),
  sortOrder: enumeration(5, ['none', 'ascend', 'descend']),
  sortTarget: enumeration(6, ['key', 'version', 'create', 'mod', 'value']),
  serializable: bool(7),
  keysOnly: bool(8),
  countOnly: bool(9),
  minModRevision: clampedInt64(10),
  maxModRevision: clampedInt64(11),
  minCreateRevision: clampedInt64(12),
  maxCreateRevision: clampedInt64(13),
});

export const rangeResponse = message({
  header,
  kvs: repeated(2, keyValue),
  more: bool(3),
  count: int64(4),
});

export const putRequest = message({
  key: bytes(1),
  value: bytes(2),
  lease: signedId(3),
  prevKv: bool(4),
  ignoreValue: bool(5),
  ignoreLease: bool(6),
});

export const putResponse = message({ header, prevKv: nested(2, keyValue) });

export const deleteRangeRequest = message({ key: bytes(1), rangeEnd: bytes(2), prevKv: bool(3) });

export const deleteRangeResponse = message({ header, deleted: int64(2), prevKvs: repeated(3, keyValue) });

/** The member of etcd's `target_union` that was sent decides; one that was not sent is compared as zero. */
export const compare = message({
  result: enumeration(1, ['equal', 'greater', 'less', 'not-equal']),
  target: enumeration(2, ['version', 'create', 'mod', 'value', 'lease']),
  key: bytes(3),
  version: optional(clampedInt64(4)),
  createRevision: optional(clampedInt64(5)),
  modRevision: optional(clampedInt64(6)),
  value: optional(bytes(7)),
  lease: optional(signedId(8)),
  rangeEnd: bytes(64),
});

/** Exactly one member is there; none in a malformed request. */
export interface RequestOpOut {
  readonly range: Decoded<typeof rangeRequest> | undefined;
  readonly put: Decoded<typeof putRequest> | undefined;
  readonly deleteRange: Decoded<typeof deleteRangeRequest> | undefined;
  readonly txn: TxnRequestOut | undefined;
}
export interface RequestOpIn {
  readonly range?: Encodable<typeof rangeRequest> | undefined;
  readonly put?: Encodable<typeof putRequest> | undefined;
  readonly deleteRange?: Encodable<typeof deleteRangeRequest> | undefined;
  readonly txn?: TxnRequestIn | undefined;
}
export interface TxnRequestOut {
  readonly compare: readonly Decoded<typeof compare>[];
  readonly success: readonly RequestOpOut[];
  readonly failure: readonly RequestOpOut[];
}
export interface TxnRequestIn {
  readonly compare?: readonly Encodable<typeof compare>[] | undefined;
  readonly success?: readonly RequestOpIn[] | undefined;
  readonly failure?: readonly RequestOpIn[] | undefined;
}

export const requestOp: Codec<RequestOpOut, RequestOpIn> = message({
  range: nested(1, rangeRequest),
  put: nested(2, putRequest),
  deleteRange: nested(3, deleteRangeRequest),
  txn: nested<TxnRequestOut, TxnRequestIn>(4, () => txnRequest),
});

export const txnRequest: Codec<TxnRequestOut, TxnRequestIn> = message({
  compare: repeated(1, compare),
  success: repeated(2, requestOp),
  failure: repeated(3, requestOp),
});

/** Exactly one member is there. */
export interface ResponseOpOut {
  readonly range: Decoded<typeof rangeResponse> | undefined;
  readonly put: Decoded<typeof putResponse> | undefined;
  readonly deleteRange: Decoded<typeof deleteRangeResponse> | undefined;
  readonly txn: TxnResponseOut | undefined;
}
export interface ResponseOpIn {
  readonly range?: Encodable<typeof rangeResponse> | undefined;
  readonly put?: Encodable<typeof putResponse> | undefined;
  readonly deleteRange?: Encodable<typeof deleteRangeResponse> | undefined;
  readonly txn?: TxnResponseIn | undefined;
}
type HeaderOut = Decoded<typeof putResponse>['header'];
type HeaderIn = Encodable<typeof putResponse>['header'];
export interface TxnResponseOut {
  readonly header: HeaderOut;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOpOut[];
}
export interface TxnResponseIn {
  readonly header?: HeaderIn;
  readonly succeeded?: boolean | undefined;
  readonly responses?: readonly ResponseOpIn[] | undefined;
}

export const responseOp: Codec<ResponseOpOut, ResponseOpIn> = message({
  range: nested(1, rangeResponse),
  put: nested(2, putResponse),
  deleteRange: nested(3, deleteRangeResponse),
  txn: nested<TxnResponseOut, TxnResponseIn>(4, () => txnResponse),
});

export const txnResponse: Codec<TxnResponseOut, TxnResponseIn> = message({
  header,
  succeeded: bool(2),
  responses: repeated(3, responseOp),
});

/**
 * A `TxnResponse` as far as a client needs it that never asks for previous values: an answer to a put repeats the revision,
 * and a transaction that copies has a hundred of them.
 */
export const txnOutcome = message({
  header,
  succeeded: bool(2),
  responses: repeated(
    3,
    message({ range: nested(1, rangeResponse), put: presence(2), deleteRange: nested(3, deleteRangeResponse) }),
  ),
});

export const compactionRequest = message({ revision: clampedInt64(1), physical: bool(2) });
export const compactionResponse = message({ header });

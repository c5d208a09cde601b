import type { KeyValue } from './key-value.ts';

/**
 * A store that keeps history itself (memory, embedded): what is served over the etcd v3 API, and what `EngineStore` turns
 * into a {@link Store}. Shapes and meaning follow etcd's `rpc.proto`; errors are `EngineError`s with etcd's own texts.
 * A promise of a write settles when the write is on disk; only then do reads and watchers see it.
 */
export interface Engine extends AsyncDisposable {
  /** Random, non-zero, 64 bits; made with the data directory, new after a restore. */
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** Revision of the last write on disk; 1 for an empty store, as in etcd. */
  readonly revision: number;
  readonly compactRevision: number;
  /** Aborts, with a {@link StoreBrokenError}, when nothing can be written any more until the store is opened anew. */
  readonly broken: AbortSignal;
  range(request: RangeRequest, reader?: Reader): Promise<RangeResponse>;
  put(request: PutRequest): Promise<PutResponse>;
  /** @param reader told, before anything is deleted, of the bytes that `prevKv` asks for */
  deleteRange(request: DeleteRangeRequest, reader?: Reader): Promise<DeleteRangeResponse>;
  /** @param reader as of the above; while a transaction runs that cannot write, asked again and again */
  txn(request: TxnRequest, reader?: Reader): Promise<TxnResponse>;
  compact(revision: number): Promise<{ readonly revision: number }>;
  /** Registers a watcher; `sink` is called in revision order, never before the write is on disk. */
  watch(request: WatchRequest, sink: WatchSink): EngineWatcher;
  leaseGrant(request: {
    readonly id: bigint;
    readonly ttl: number;
  }): Promise<{ readonly id: bigint; readonly ttl: number; readonly revision: number }>;
  leaseRevoke(id: bigint): Promise<{ readonly revision: number }>;
  /** Renews; `ttl` 0 says that the lease does not exist (etcd's answer on the keep-alive stream). */
  leaseKeepAlive(id: bigint): Promise<{ readonly id: bigint; readonly ttl: number; readonly revision: number }>;
  /** `ttl` −1 says that the lease does not exist. */
  leaseTimeToLive(id: bigint, keys: boolean, reader?: Reader): Promise<LeaseInfo>;
  /** Keys of a lease, those too whose put is not on disk yet: for whoever is about to write, and tells nobody. */
  leaseKeys(id: bigint, reader?: Reader): Promise<readonly Uint8Array[]>;
  leases(): Promise<readonly bigint[]>;
  /**
   * Keeps what `revision` shows (now, unless told) from being forgotten, for whoever reads longer than history lasts; others are
   * refused what is compacted as ever. @throws EngineError when it is compacted already, or not there yet
   */
  hold(revision?: number): HeldRevision;
  status(): Promise<EngineStatus>;
}

/** One revision that can be read until it is let go. */
export interface HeldRevision extends Disposable {
  readonly revision: number;
  /** @throws EngineError (compacted) when it could be kept no longer, since there is no room */
  range(request: Omit<RangeRequest, 'revision'>, reader?: Reader): Promise<RangeResponse>;
}

/** Whoever waits for an answer that may be long. */
export interface Reader {
  /** Readers with the same owner share what one may have of the engine's time. */
  readonly owner?: unknown;
  /** Called now and then while the answer is made, with the bytes that it has grown by. May throw, which ends the call. */
  took(bytes: number): void;
}

/**
 * A key-value that exists as the bytes of etcd's `mvccpb.KeyValue` already: a server copies them instead of making them.
 * Its fields are read from the bytes when they are asked for, so it is no plain object to be spread or compared.
 */
export interface EncodedKeyValue extends KeyValue {
  readonly messageLength: number;
  /** Copies the message to `position`; gives the position behind it. */
  copyMessage(target: Buffer, position: number): number;
}

/** Key `key`, or the range [key, rangeEnd); rangeEnd of one zero byte: to the end. */
export interface KeyRange {
  readonly key: Uint8Array;
  readonly rangeEnd?: Uint8Array;
}

export interface RangeRequest extends KeyRange {
  /** 0 means no limit. */
  readonly limit?: number;
  /** 0 means now. */
  readonly revision?: number;
  readonly sortOrder?: 'none' | 'ascend' | 'descend';
  readonly sortTarget?: 'key' | 'version' | 'create' | 'mod' | 'value';
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  readonly minModRevision?: number;
  readonly maxModRevision?: number;
  readonly minCreateRevision?: number;
  readonly maxCreateRevision?: number;
}

export interface RangeResponse {
  /** The store's revision when the answer was made. */
  readonly revision: number;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: number;
}

export interface PutRequest {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease?: bigint;
  readonly prevKv?: boolean;
  readonly ignoreValue?: boolean;
  readonly ignoreLease?: boolean;
}

export interface PutResponse {
  readonly revision: number;
  readonly prevKv?: KeyValue;
}

export interface DeleteRangeRequest extends KeyRange {
  readonly prevKv?: boolean;
}

export interface DeleteRangeResponse {
  readonly revision: number;
  readonly deleted: number;
  readonly prevKvs: readonly KeyValue[];
}

export interface EngineCompare extends KeyRange {
  readonly result: 'equal' | 'greater' | 'less' | 'not-equal';
  readonly target: 'version' | 'create' | 'mod' | 'value' | 'lease';
  readonly version?: number;
  readonly createRevision?: number;
  readonly modRevision?: number;
  readonly value?: Uint8Array;
  readonly lease?: bigint;
}

export type RequestOp =
  | { readonly type: 'range'; readonly request: RangeRequest }
  | { readonly type: 'put'; readonly request: PutRequest }
  | { readonly type: 'delete'; readonly request: DeleteRangeRequest }
  | { readonly type: 'txn'; readonly request: TxnRequest };

export interface TxnRequest {
  readonly compare: readonly EngineCompare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

export type ResponseOp =
  | { readonly type: 'range'; readonly response: RangeResponse }
  | { readonly type: 'put'; readonly response: PutResponse }
  | { readonly type: 'delete'; readonly response: DeleteRangeResponse }
  | { readonly type: 'txn'; readonly response: TxnResponse };

export interface TxnResponse {
  readonly revision: number;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

export interface WatchRequest extends KeyRange {
  /** First revision wanted; 0 or absent: from now on. */
  readonly startRevision?: number;
  readonly prevKv?: boolean;
  readonly noPut?: boolean;
  readonly noDelete?: boolean;
}

export type EngineEvent =
  | { readonly type: 'put'; readonly kv: KeyValue; readonly prevKv?: KeyValue }
  /** `kv` holds the key and, as modRevision, the revision of the deletion; the rest is zero. */
  | { readonly type: 'delete'; readonly kv: KeyValue; readonly prevKv?: KeyValue };

export interface WatchSink {
  /** As of a {@link Reader}, while history is read for the watcher. */
  readonly owner?: unknown;
  /** Events of whole revisions, oldest first; `revision` is the last one contained. */
  events(events: readonly EngineEvent[], revision: number): void;
  /** The start revision is compacted: the watcher is over. */
  compacted(compactRevision: number): void;
  /** Its events cannot be read: the watcher is over. Every other one goes on. */
  failed(error: unknown): void;
}

export interface EngineWatcher {
  /** True once every event up to the engine's current revision has been handed to the sink. */
  readonly synced: boolean;
  /** While paused, nothing is handed over; the engine re-reads history afterwards rather than buffering without bound. */
  pause(): void;
  resume(): void;
  cancel(): void;
}

export interface LeaseInfo {
  readonly id: bigint;
  readonly ttl: number;
  readonly grantedTtl: number;
  readonly keys: readonly Uint8Array[];
  readonly revision: number;
}

export interface EngineStatus {
  readonly version: string;
  readonly dbSize: number;
  readonly dbSizeInUse: number;
  /** Bytes in use from which on puts are refused; undefined where there is no such bound. */
  readonly dbSizeQuota?: number;
  readonly keys: number;
  /** What is wrong with it now. */
  readonly problem?: EngineProblem;
}

/**
 * `no-space`: puts and leases are refused until there is room; `damaged`: so are all writes, for good, while reads go on as far
 * as they can; `broken`: the process has to end.
 */
export interface EngineProblem {
  readonly type: 'no-space' | 'damaged' | 'broken';
  readonly message: string;
}

/** An error with etcd's own text and gRPC code, since clients match on both. */
export class EngineError extends Error {
  /** gRPC status code: 3 invalid argument, 5 not found, 8 resource exhausted, 9 failed precondition, 11 out of range, 14 unavailable, 15 data loss. */
  readonly grpcCode: number;

  constructor(grpcCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EngineError';
    this.grpcCode = grpcCode;
  }
}

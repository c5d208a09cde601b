/** What a caller may do after an error: the same call again, start its listing over, or ask an operator. */
export type Retry = 'again' | 'relist' | 'never';

/** Base of every error that a store throws. `code` is stable; messages may change. */
export abstract class KvStoreError extends Error {
  abstract readonly code: string;
  abstract readonly retry: Retry;
  override get name(): string {
    return this.constructor.name;
  }
}

/** The store could not be reached, or did not answer in time. Whether a write took place is unknown. */
export class UnavailableError extends KvStoreError {
  readonly code = 'KVSTORE_UNAVAILABLE';
  readonly retry = 'again';
}

/** A store in this process can write no more, whatever is tried: the process has to end and open it anew. */
export class StoreBrokenError extends KvStoreError {
  readonly code = 'KVSTORE_BROKEN';
  readonly retry = 'never';

  constructor(cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`The store cannot be written to any more and has to be started again: ${why}`, { cause });
  }
}

/** etcd `ErrCompacted`: the revision asked for is older than the compaction point. */
export class CompactedError extends KvStoreError {
  readonly code = 'KVSTORE_COMPACTED';
  readonly retry = 'relist';
  readonly compactRevision: number;

  /** @param what operation and object: `read cilium/state/…` */
  constructor(what: string, compactRevision: number, options?: ErrorOptions) {
    super(`Cannot ${what}: revisions before ${compactRevision} are compacted`, options);
    this.compactRevision = compactRevision;
  }
}

/** etcd `ErrFutureRev`: the revision asked for does not exist yet (or no longer: the store was replaced). */
export class FutureRevisionError extends KvStoreError {
  readonly code = 'KVSTORE_FUTURE_REVISION';
  readonly retry = 'relist';
}

/** The store answers under another id than before: it is another store. */
export class StoreReplacedError extends KvStoreError {
  readonly code = 'KVSTORE_REPLACED';
  readonly retry = 'relist';
  readonly expected: string;
  readonly found: string;

  constructor(expected: string, found: string) {
    super(`Store id changed from ${expected} to ${found}`);
    this.expected = expected;
    this.found = found;
  }
}

/** The caller may not read or write this. Never to be taken for an empty answer. */
export class PermissionDeniedError extends KvStoreError {
  readonly code = 'KVSTORE_PERMISSION_DENIED';
  readonly retry = 'never';
}

/** A lease that the call names does not exist (any more). */
export class LeaseNotFoundError extends KvStoreError {
  readonly code = 'KVSTORE_LEASE_NOT_FOUND';
  readonly retry = 'never';
}

/** The request is malformed or beyond a limit (size, number of operations, a key twice in a transaction). */
export class InvalidRequestError extends KvStoreError {
  readonly code = 'KVSTORE_INVALID_REQUEST';
  readonly retry = 'never';
}

/** The store is full (space quota or map size); reads and deletes still work. */
export class NoSpaceError extends KvStoreError {
  readonly code = 'KVSTORE_NO_SPACE';
  readonly retry = 'never';
}

/** The caller led once, and somebody else does now: nothing was written. */
export class FencedError extends KvStoreError {
  readonly code = 'KVSTORE_FENCED';
  readonly retry = 'never';
}

/** The store was closed by its owner while the call was under way. */
export class ClosedError extends KvStoreError {
  readonly code = 'KVSTORE_CLOSED';
  readonly retry = 'never';
}

/** The store (or what answers in its place) broke the protocol: a truncated or nonsensical answer. */
export class ProtocolError extends KvStoreError {
  readonly code = 'KVSTORE_PROTOCOL';
  readonly retry = 'again';
}

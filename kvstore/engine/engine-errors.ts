import { EngineError } from '../contract/index.ts';

/**
 * The errors an engine gives, with etcd's own texts and gRPC codes (etcd `api/v3rpc/rpctypes/error.go`): clients match
 * on both, so neither may be reworded.
 */
export const engineErrors = {
  emptyKey: () => new EngineError(3, 'etcdserver: key is not provided'),
  keyNotFound: () => new EngineError(3, 'etcdserver: key not found'),
  valueProvided: () => new EngineError(3, 'etcdserver: value is provided'),
  leaseProvided: () => new EngineError(3, 'etcdserver: lease is provided'),
  tooManyOperations: () => new EngineError(3, 'etcdserver: too many operations in txn request'),
  duplicateKey: () => new EngineError(3, 'etcdserver: duplicate key given in txn request'),
  requestTooLarge: () => new EngineError(3, 'etcdserver: request is too large'),
  leaseNotFound: () => new EngineError(5, 'etcdserver: requested lease not found'),
  noSpace: () => new EngineError(8, 'etcdserver: mvcc: database space exceeded'),
  leaseExists: () => new EngineError(9, 'etcdserver: lease already exists'),
  compacted: () => new EngineError(11, 'etcdserver: mvcc: required revision has been compacted'),
  futureRevision: () => new EngineError(11, 'etcdserver: mvcc: required revision is a future revision'),
  leaseTtlTooLarge: () => new EngineError(11, 'etcdserver: too large lease TTL'),
  corrupt: (cause: unknown) => new EngineError(15, 'etcdserver: corrupt cluster', { cause }),
  timedOut: () => new EngineError(14, 'etcdserver: request timed out'),
  stopped: (cause?: unknown) => new EngineError(14, 'etcdserver: server stopped', { cause }),
  /** Ours alone: what writes does so in one go. */
  tooManyRows: (limit: number) =>
    new EngineError(
      3,
      `etcdserver: too many operations in txn request: one that writes may look at ${limit} keys, read the others before`,
    ),
  /** Ours alone: LMDB has an upper bound for keys that etcd has not. */
  keyTooLong: (length: number, limit: number) =>
    new EngineError(3, `etcdserver: request is too large: a key of ${length} bytes, the embedded store takes ${limit}`),
} as const;

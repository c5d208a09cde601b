import {
  FutureRevisionError,
  InvalidRequestError,
  CompactedError,
  type KvStoreError,
  LeaseNotFoundError,
  NoSpaceError,
  PermissionDeniedError,
  ProtocolError,
  UnavailableError,
} from '../../contract/index.ts';
import { grpcStatus } from '../wire/index.ts';

/** A call that the server ended with a status other than OK. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** The call did not reach the server, or took no effect there, so that even a write may be repeated. */
export class NotSentError extends UnavailableError {}

/** The server no longer accepts our token: a new one may help. */
export function isStaleToken(error: unknown): boolean {
  return (
    error instanceof GrpcError &&
    (error.code === grpcStatus.unauthenticated ||
      /invalid auth token|revision of auth store is old/.test(error.message))
  );
}

/** A member has said that too few of the others are there to ask: etcd's `ErrNoLeader`, and `ErrTimeout` of a linearizable read. */
export function hasNoQuorum(error: unknown): boolean {
  return (
    error instanceof UnavailableError &&
    error.cause instanceof GrpcError &&
    /etcdserver: (no leader|request timed out)/.test(error.cause.message)
  );
}

/** A member has said that it cannot do what another one could: it has no quorum, only learns, or is stopping. */
export function isForAnother(error: unknown): boolean {
  return (
    hasNoQuorum(error) ||
    (error instanceof UnavailableError &&
      error.cause instanceof GrpcError &&
      /etcdserver: (rpc not supported for learner|server stopped)/.test(error.cause.message))
  );
}

/**
 * The error of the contract for a status. etcd's texts decide where its codes are shared by several conditions
 * (`etcd-io/etcd:api/v3rpc/rpctypes/error.go`).
 * @param what names operation and object
 * @param revision the revision that was asked for, where one was
 */
export function storeError(error: GrpcError, what: string, revision = 0): KvStoreError {
  const { code, message } = error;
  const said = `Cannot ${what}: ${message === '' ? `status ${code}` : message}`;
  const options = { cause: error };
  // The answer names no compaction point; all that is known is that it lies beyond the revision asked for.
  if (/required revision has been compacted/.test(message)) return new CompactedError(what, revision + 1, options);
  if (/required revision is a future revision/.test(message)) return new FutureRevisionError(said, options);
  // Users or roles were changed between the asking and the writing. A log-in is not needed for it: a certificate's name is one, too.
  if (/revision of auth store is old/.test(message)) return new NotSentError(said, options);
  if (/database space exceeded/.test(message)) return new NoSpaceError(said, options);
  if (/requested lease not found/.test(message)) return new LeaseNotFoundError(said, options);
  if (/permission denied|authentication failed|user name is empty|invalid auth token/.test(message))
    return new PermissionDeniedError(said, options);
  // A precondition that fails, by its code: but another member does it, and this one will once it may vote.
  if (/rpc not supported for learner/.test(message)) return new UnavailableError(said, options);
  switch (code) {
    case grpcStatus.permissionDenied:
    case grpcStatus.unauthenticated:
      return new PermissionDeniedError(said, options);
    case grpcStatus.invalidArgument:
    case grpcStatus.notFound:
    case grpcStatus.alreadyExists:
    case grpcStatus.failedPrecondition:
    case grpcStatus.unimplemented:
      return new InvalidRequestError(said, options);
    case grpcStatus.resourceExhausted:
      return /too many requests/.test(message)
        ? new UnavailableError(said, options)
        : new InvalidRequestError(said, options);
    case grpcStatus.outOfRange:
    case grpcStatus.internal:
    case grpcStatus.unknown:
    case grpcStatus.dataLoss:
      return new ProtocolError(said, options);
    default:
      return new UnavailableError(said, options);
  }
}

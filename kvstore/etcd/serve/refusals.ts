import { EngineError } from '../../contract/index.ts';
import { grpcStatus } from '../wire/index.ts';

/** etcd's words for it (`ErrTooManyRequests`). */
export function tooManyRequests(): EngineError {
  return new EngineError(grpcStatus.resourceExhausted, 'etcdserver: too many requests');
}

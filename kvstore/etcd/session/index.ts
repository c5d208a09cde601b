export { CallStream } from './call-stream.ts';
export { Connection } from './connection.ts';
export type { RequestLimits } from './limiter.ts';
export { type Endpoint, holdsCredentials, parseEndpoint } from './endpoint.ts';
export type { EtcdSessionOptions, EtcdTarget } from './options.ts';
export { type CallSettings, EtcdSession } from './session.ts';
export { GrpcError, NotSentError, hasNoQuorum, isStaleToken, storeError } from './store-errors.ts';

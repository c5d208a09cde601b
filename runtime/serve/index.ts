export { type HealthOptions, type HealthServer, type Readiness, serveHealth } from './health.ts';
export { ListenError } from './listen.ts';
export { SocketDirectoryError, listenOnSocket } from './socket-path.ts';
export { type ApiHandler, type ApiRequest, type ApiRoutes } from './routes.ts';
export { type UnixApiOptions, type UnixApiServer, serveUnixApi } from './unix-api.ts';
export { type UnixCall, callUnixApi, hangsAfterMs, streamUnixApi } from './unix-client.ts';
export { ApiError, ApiUnreachableError } from './api-error.ts';
export { type TcpApiOptions, type TcpApiServer, serveTcpApi } from './tcp-api.ts';

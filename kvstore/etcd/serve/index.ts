export { type EtcdServer, type ListenAddress, type ServeEtcdOptions, serveEtcd } from './server.ts';
export type { ServeTlsOptions } from './secure-listener.ts';
export type { ServeLimits } from './limits.ts';

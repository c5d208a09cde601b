export { type EtcdServer, type ListenAddress, type ServeEtcdOptions, serveEtcd } from './server.ts';

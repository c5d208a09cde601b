export { type NamespaceHandle, runInNamespace } from './enter.ts';
export { createNamespace, deleteNamespace, openNamespace } from './namespaces.ts';
export { type Endpoint, tcpConnectFd, tcpListenFd, udpBindFd } from './sockets.ts';

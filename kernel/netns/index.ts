export { type NamespaceHandle, runInNamespace, runInNewNamespace } from './enter.ts';
export { createNamespace, deleteNamespace, openNamespace } from './namespaces.ts';
export { type Endpoint, tcpConnectFd, tcpListenFd, udpBindFd } from './sockets.ts';

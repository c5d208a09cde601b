import { closeSync } from 'node:fs';
import {
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  SO_REUSEADDR,
  checked,
  errnos,
  familyOf,
  intBytes,
  kernelError,
  lastErrno,
  libc,
  socketAddress,
} from '../abi/index.ts';
import { type NamespaceHandle, runInNamespace } from './enter.ts';

/** An address to listen at or connect to: literal, since a name look-up would happen in another namespace. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

type Namespace = Pick<NamespaceHandle, 'fd' | 'name'>;

/**
 * A listening TCP socket inside `namespace`, for `server.listen({ fd })`. A Linux socket keeps the namespace it was made
 * in, so one process can serve many. The caller owns the descriptor.
 */
export function tcpListenFd(namespace: Namespace, endpoint: Endpoint, backlog = 511): number {
  return made(namespace, endpoint, SOCK_STREAM, (fd, name) => {
    libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, intBytes(1), 4);
    bindTo(fd, endpoint, name);
    checked(`Cannot listen at ${name}`, libc.listen(fd, backlog));
  });
}

/**
 * A TCP socket inside `namespace` whose connection is being made, for `new net.Socket({ fd })`: data written is sent once
 * connected, a refused connection shows as the socket's error. There is no `connect` event.
 */
export function tcpConnectFd(namespace: Namespace, endpoint: Endpoint & { readonly source?: string }): number {
  return made(namespace, endpoint, SOCK_STREAM, (fd, name) => {
    if (endpoint.source !== undefined) bindTo(fd, { address: endpoint.source, port: 0 }, name);
    const address = socketAddress(endpoint.address, endpoint.port);
    if (libc.connect(fd, address, address.length) < 0) {
      const errno = lastErrno();
      if (errno !== errnos.EINPROGRESS) throw kernelError(`Cannot connect to ${name}`, errno);
    }
  });
}

/**
 * A bound UDP socket inside `namespace`, for `socket.bind({ fd, exclusive: true })`. Node emits `listening` within that
 * call: attach handlers first.
 */
export function udpBindFd(namespace: Namespace, endpoint: Endpoint): number {
  return made(namespace, endpoint, SOCK_DGRAM, (fd, name) => bindTo(fd, endpoint, name));
}

function made(
  namespace: Namespace,
  endpoint: Endpoint,
  type: number,
  prepare: (fd: number, name: string) => void,
): number {
  const family = familyOf(endpoint.address);
  const host = endpoint.address.includes(':') ? `[${endpoint.address}]` : endpoint.address;
  const name = `${host}:${endpoint.port} in network namespace ${namespace.name}`;
  const fd = runInNamespace(namespace, () =>
    checked(`Cannot make a socket for ${name}`, libc.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
  );
  try {
    prepare(fd, name);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function bindTo(fd: number, endpoint: Endpoint, name: string): void {
  const address = socketAddress(endpoint.address, endpoint.port);
  checked(`Cannot bind ${name}`, libc.bind(fd, address, address.length));
}

import { createServer, type Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { cgroupRoot, joinCgroup, tcpConnectFd, tcpListenFd } from '../../../kernel/index.ts';
import type { Pod } from './rig.ts';

/** A TCP server in a pod that answers each connection with `name` and the client's address, then closes. */
export async function answer(pod: Pod, port: number, name: string): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.end(`${name} ${socket.remoteAddress}`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd: tcpListenFd(pod.namespace, { address: pod.address, port }) }, resolve);
  });
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A TCP server in a pod that sends back what it gets. */
export async function echo(pod: Pod, port: number): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.pipe(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd: tcpListenFd(pod.namespace, { address: pod.address, port }) }, resolve);
  });
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface ConnectOptions {
  /** Makes the socket in this cgroup, so that its programs see it. */
  readonly cgroup?: string;
  readonly timeoutMs?: number;
  readonly source?: string;
}

export function connect(pod: Pod, address: string, port: number, options: ConnectOptions = {}): Socket {
  const { cgroup, source } = options;
  const home = cgroup === undefined ? undefined : cgroupRoot();
  if (cgroup !== undefined) joinCgroup(cgroup);
  try {
    const fd = tcpConnectFd(pod.namespace, { address, port, ...(source === undefined ? {} : { source }) });
    return new Socket({ fd });
  } finally {
    if (home !== undefined) joinCgroup(home);
  }
}

/** Everything a server says until it closes. @throws when it does not within the time, or the connection fails. */
export async function ask(pod: Pod, address: string, port: number, options: ConnectOptions = {}): Promise<string> {
  const socket = connect(pod, address, port, options);
  try {
    return await new Promise<string>((resolve, reject) => {
      let text = '';
      socket.setTimeout(options.timeoutMs ?? 5000, () => reject(new Error(`No answer from ${address}:${port}`)));
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('error', reject);
      socket.on('end', () => resolve(text));
    });
  } finally {
    socket.destroy();
  }
}

/** Waits until `done` is true. @throws {Error} naming `what` when it does not become so. */
export async function until(what: string, done: () => boolean, timeoutMs = 5000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!done()) {
    if (performance.now() > end) throw new Error(`Still not: ${what}`);
    await sleep(5);
  }
}

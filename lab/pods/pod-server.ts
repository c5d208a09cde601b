import { createSocket } from 'node:dgram';
import { type Socket, createServer } from 'node:net';
import { type NamespaceHandle, tcpListenFd, udpBindFd } from '../../kernel/index.ts';
import type { HostedPod, PodAnswer, PodPort } from './messages.ts';

/** A listening port of a pod; disposing of it closes the port and every connection. */
export interface PodServer extends Disposable {}

/**
 * Answers on one port of a pod, inside its network namespace: with one line that says who answers and whom it saw, then
 * by echoing what it gets until the client ends. A datagram is answered by that line. `onRequest` is called for each
 * connection and datagram.
 */
export async function servePort(
  pod: HostedPod,
  netns: NamespaceHandle,
  port: PodPort,
  onRequest: () => void,
): Promise<PodServer> {
  return port.protocol === 'TCP'
    ? serveTcp(pod, netns, port.port, onRequest)
    : serveUdp(pod, netns, port.port, onRequest);
}

async function serveTcp(
  pod: HostedPod,
  netns: NamespaceHandle,
  port: number,
  onRequest: () => void,
): Promise<PodServer> {
  const connections = new Set<Socket>();
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    connections.add(socket);
    onRequest();
    socket.on('close', () => connections.delete(socket)).on('error', () => socket.destroy());
    socket.write(`${answer(pod, socket.remoteAddress)}\n`);
    socket.pipe(socket);
  });
  const fd = tcpListenFd(netns, { address: '0.0.0.0', port });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, resolve);
  });
  return {
    [Symbol.dispose]: () => {
      server.close();
      for (const socket of connections) socket.destroy();
    },
  };
}

async function serveUdp(
  pod: HostedPod,
  netns: NamespaceHandle,
  port: number,
  onRequest: () => void,
): Promise<PodServer> {
  const socket = createSocket('udp4');
  socket.on('message', (_, client) => {
    onRequest();
    socket.send(answer(pod, client.address), client.port, client.address);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('listening', resolve).once('error', reject);
    socket.bind({ fd: udpBindFd(netns, { address: '0.0.0.0', port }), exclusive: true });
  });
  return { [Symbol.dispose]: () => void socket.close() };
}

function answer(pod: HostedPod, client: string | undefined): string {
  const said: PodAnswer = {
    pod: pod.name,
    namespace: pod.namespace,
    node: pod.node,
    cluster: pod.cluster,
    sawClient: (client ?? '').replace(/^::ffff:/, ''),
  };
  return JSON.stringify(said);
}

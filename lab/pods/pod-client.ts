import { createSocket } from 'node:dgram';
import { Socket } from 'node:net';
import { type NamespaceHandle, tcpConnectFd, udpBindFd } from '../../kernel/index.ts';
import type { PodAnswer } from './messages.ts';

export interface Destination {
  readonly address: string;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
}

/** Sends one request out of a pod's namespace and reads the answer. @throws {Error} with the errno's name, or `timeout`. */
export async function request(netns: NamespaceHandle, to: Destination, timeoutMs: number): Promise<PodAnswer> {
  const line = await (to.protocol === 'TCP' ? requestTcp(netns, to, timeoutMs) : requestUdp(netns, to, timeoutMs));
  return JSON.parse(line) as PodAnswer;
}

function requestTcp(netns: NamespaceHandle, to: Destination, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new Socket({ fd: tcpConnectFd(netns, to), readable: true, writable: true });
    let received = '';
    const finish = (error: Error | undefined): void => {
      clearTimeout(timer);
      socket.removeAllListeners().on('error', () => undefined);
      socket.destroy();
      if (error) reject(error);
      else resolve(received.slice(0, received.indexOf('\n')));
    };
    const timer = setTimeout(() => finish(new Error('timeout')), timeoutMs);
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      received += chunk;
      if (received.includes('\n')) finish(undefined);
    });
    socket.on('error', (error) => finish(new Error('code' in error ? String(error.code) : error.message)));
    socket.on('end', () => finish(new Error('closed without an answer')));
    socket.resume();
  });
}

function requestUdp(netns: NamespaceHandle, to: Destination, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      socket.close();
      settle();
    };
    const timer = setTimeout(() => finish(() => reject(new Error('timeout'))), timeoutMs);
    socket.on('error', (error) =>
      finish(() => reject(new Error('code' in error ? String(error.code) : error.message))),
    );
    socket.on('message', (message) => finish(() => resolve(message.toString())));
    socket.on('listening', () => socket.send('hello', to.port, to.address));
    socket.bind({ fd: udpBindFd(netns, { address: '0.0.0.0', port: 0 }), exclusive: true });
  });
}

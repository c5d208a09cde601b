import { type Socket, createSocket } from 'node:dgram';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { udpBindFd } from '../../../kernel/index.ts';
import type { Pod } from './rig.ts';

/** Numbered datagrams from one pod to another. */
export interface UdpStream extends AsyncDisposable {
  /** Sends `count` more, one a turn of the event loop. */
  packets(count: number): Promise<void>;
  /** How many of those sent have not arrived, after a moment for the last ones. */
  lost(): Promise<number>;
}

export async function udpStream(from: Pod, to: Pod, port: number): Promise<UdpStream> {
  const receiver = await bound(to, port);
  const sender = await bound(from, port);
  let sent = 0;
  let received = 0;
  receiver.on('message', () => received++);
  return {
    packets: async (count) => {
      for (let i = 0; i < count; i++) {
        sender.send(String(++sent), port, to.address);
        await setImmediate();
      }
    },
    lost: async () => {
      for (let i = 0; i < 100; i++) {
        if (received >= sent) break;
        await sleep(10);
      }
      return sent - received;
    },
    [Symbol.asyncDispose]: async () => {
      receiver.close();
      sender.close();
    },
  };
}

async function bound(pod: Pod, port: number): Promise<Socket> {
  const socket = createSocket('udp4');
  const fd = udpBindFd(pod.namespace, { address: pod.address, port });
  await new Promise<void>((resolve, reject) => {
    socket.once('listening', resolve).once('error', reject);
    socket.bind({ fd, exclusive: true });
  });
  return socket;
}

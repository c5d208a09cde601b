import { once } from 'node:events';
import { type Socket, createServer } from 'node:net';
import { type Logger, fields, silentLogger } from '../../runtime/log/index.ts';
import { listenOnSocket } from '../../runtime/serve/index.ts';
import { TaskGroup, isAbort } from '../../runtime/tasks/index.ts';
import type { KubernetesSource } from '../objects/index.ts';
import { eventLine, helloLine } from './line-protocol.ts';

export interface ServeSourceOptions {
  readonly log?: Logger;
  /** Refuses a peer by throwing; handed in, because asking for the peer's uid needs the kernel. */
  readonly checkPeer?: (socket: Socket) => void;
}

export interface SourceServer extends AsyncDisposable {
  readonly path: string;
  /** Readers that are connected right now. */
  readonly readers: number;
}

/**
 * Serves a source to any number of readers over a Unix socket of mode 0600 in a directory of mode 0700, as JSON lines:
 * docs/kubernetes-source.md. Each reader gets a watch of its own and is held to its own pace.
 * @throws {SocketDirectoryError} {@link ListenError} when another live server has the socket; a dead one's file is replaced.
 */
export async function serveSource(
  source: KubernetesSource,
  path: string,
  options: ServeSourceOptions = {},
): Promise<SourceServer> {
  const { log = silentLogger } = options;
  const tasks = new TaskGroup();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    tasks.run(async (signal) => {
      try {
        options.checkPeer?.(socket);
        await send(source, socket, signal);
      } catch (error) {
        if (!isAbort(error, signal)) log.warn('A reader of the source was dropped', { [fields.error]: error });
      } finally {
        socket.destroy();
      }
    });
  });
  await listenOnSocket(server, path);
  return {
    path,
    get readers() {
      return sockets.size;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await tasks[Symbol.asyncDispose]();
      await closed;
    },
  };
}

async function send(source: KubernetesSource, socket: Socket, signal: AbortSignal): Promise<void> {
  const controller = new AbortController();
  const stop = (): void => controller.abort(new DOMException('The reader has gone', 'AbortError'));
  socket.once('close', stop);
  signal.addEventListener('abort', stop, { once: true });
  // What a reader sends is ignored, but must be read for its end to be noticed.
  socket.resume();
  try {
    socket.write(helloLine(source.description));
    for await (const event of source.watch(controller.signal)) {
      if (socket.destroyed) return;
      if (!socket.write(eventLine(event))) await once(socket, 'drain', { signal: controller.signal });
    }
  } catch (error) {
    if (!isAbort(error, controller.signal)) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

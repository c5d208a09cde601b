import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from '../log/index.ts';
import { answer, closeServer, messageOf, sendError } from './answer.ts';
import { ApiError } from './api-error.ts';
import { type ApiRoutes, compileRoutes } from './routes.ts';
import { listenOnSocket } from './socket-path.ts';

export interface UnixApiOptions {
  readonly path: string;
  readonly routes: ApiRoutes;
  /**
   * Throws when the process at the other end may not ask. Handed in, since reading its uid needs a system call. Without
   * it only the modes of directory and socket protect.
   */
  readonly checkPeer?: (socket: Socket) => void;
  readonly log: Logger;
  /** Bodies beyond this many bytes are refused; 1 MiB unless told. */
  readonly maxBodyBytes?: number;
}

export interface UnixApiServer extends AsyncDisposable {
  readonly path: string;
}

/**
 * HTTP with JSON bodies over a Unix socket of mode 0600 in a directory of mode 0700. Closing ends running streams.
 * @throws {SocketDirectoryError} {@link ListenError}
 */
export async function serveUnixApi(options: UnixApiOptions): Promise<UnixApiServer> {
  const routes = compileRoutes(options.routes);
  const closing = new AbortController();
  const refused = new WeakMap<Socket, string>();
  const server = createServer({ keepAlive: false }, (request, response) => {
    const reason = refused.get(request.socket);
    if (reason !== undefined) sendError(response, new ApiError(403, 'PEER_REFUSED', reason));
    else void answer(options, routes, request, response, closing.signal);
  });
  server.on('connection', (socket: Socket) => {
    try {
      options.checkPeer?.(socket);
    } catch (error) {
      refused.set(socket, messageOf(error));
      options.log.warn('Refused a caller of the control socket', { path: options.path, error });
    }
  });
  await listenOnSocket(server, options.path);
  return {
    path: options.path,
    [Symbol.asyncDispose]: () => closeServer(server, closing),
  };
}

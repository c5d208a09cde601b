import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from '../log/index.ts';
import type { HostPort } from '../options/index.ts';
import { answer, closeServer } from './answer.ts';
import { listen } from './listen.ts';
import { type ApiRoutes, compileRoutes } from './routes.ts';

export interface TcpApiOptions extends HostPort {
  readonly routes: ApiRoutes;
  readonly log: Logger;
}

export interface TcpApiServer extends AsyncDisposable {
  readonly address: HostPort;
}

/**
 * HTTP with JSON bodies over TCP, for whoever can reach the address: nothing that is served here may change anything or be
 * secret. @throws {ListenError} when the address cannot be had.
 */
export async function serveTcpApi({ host, port, ...options }: TcpApiOptions): Promise<TcpApiServer> {
  const routes = compileRoutes(options.routes);
  const closing = new AbortController();
  const server = createServer({ keepAlive: false }, (request, response) => {
    void answer(options, routes, request, response, closing.signal);
  });
  await listen(server, { host, port });
  const bound = server.address() as AddressInfo;
  return {
    address: { host: bound.address, port: bound.port },
    [Symbol.asyncDispose]: () => closeServer(server, closing),
  };
}

import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import type { HostPort } from '../options/index.ts';
import type { Metrics } from '../metrics/index.ts';
import { listen } from './listen.ts';

/** Whether a process can do its work; what it waits for is shown to people. */
export interface Readiness {
  readonly ready: boolean;
  readonly waitingFor?: readonly string[];
}

export interface HealthOptions {
  /** Loopback unless told. */
  readonly host?: string;
  /** 0: any free port. */
  readonly port: number;
  readonly metrics?: Metrics;
  /** False says that only a restart helps. Default: alive as long as it answers. */
  readonly live?: () => boolean;
  readonly ready?: () => Readiness | Promise<Readiness>;
}

export interface HealthServer extends AsyncDisposable {
  readonly address: HostPort;
}

/**
 * Serves `/metrics` (Prometheus text), `/healthz` and `/readyz` (200 `ok`, or 500 with the reason in words).
 * @throws {ListenError} when the address cannot be had.
 */
export async function serveHealth(options: HealthOptions): Promise<HealthServer> {
  const { host = '127.0.0.1', port } = options;
  const server = createServer((request, response) => void answer(options, request, response));
  await listen(server, { host, port });
  const bound = server.address() as AddressInfo;
  return {
    address: { host: bound.address, port: bound.port },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(options: HealthOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const send = (status: number, text: string, type = 'text/plain; charset=utf-8'): void =>
    void response.writeHead(status, { 'content-type': type }).end(text);
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'Only GET is served here\n');
  try {
    switch (new URL(request.url ?? '/', 'http://health').pathname) {
      case '/healthz':
        return options.live?.() === false ? send(500, 'not alive\n') : send(200, 'ok\n');
      case '/readyz': {
        const { ready, waitingFor = [] } = (await options.ready?.()) ?? { ready: true };
        const why = waitingFor.length > 0 ? `: waiting for ${waitingFor.join(', ')}` : '';
        return ready ? send(200, 'ok\n') : send(500, `not ready${why}\n`);
      }
      case '/metrics':
        if (!options.metrics) return send(404, 'No metrics are kept\n');
        return send(200, await options.metrics.text(), options.metrics.contentType);
      default:
        return send(404, 'Served here: /metrics, /healthz, /readyz\n');
    }
  } catch (error) {
    return send(500, `${error instanceof Error ? error.message : String(error)}\n`);
  }
}

import { type Http2Server, type Http2Session, createServer as createHttp2Server } from 'node:http2';
import { type Server as HttpServer, createServer as createHttpServer } from 'node:http';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import type { Clock } from '../../../runtime/clock/index.ts';
import type { Logger } from '../../../runtime/log/index.ts';
import type { Metrics } from '../../../runtime/metrics/index.ts';
import type { Engine } from '../../contract/index.ts';
import { answerGrpc } from './dispatch.ts';
import { answerHttp } from './http-endpoints.ts';
import { serveMetrics } from './serve-metrics.ts';
import { ServeContext } from './serve-context.ts';
import { Patience } from './patience.ts';
import { sniffProtocol } from './sniff.ts';

/** Where to listen: an address (port 0: any free one), or a listening socket that somebody else made. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly fd: number };

export interface ServeEtcdOptions {
  readonly engine: Engine;
  readonly listen: ListenAddress;
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics?: Metrics;
  /** Name of the one member, as `etcdctl member list` shows it. */
  readonly memberName?: string;
  /** What member lists give as client URLs; the address listened on unless told. */
  readonly advertiseUrls?: readonly string[];
  /** Between the progress notices of a watch that asked for them and is silent: etcd's 10 minutes unless told. */
  readonly progressIntervalMs?: number;
  /** Bytes a watch stream may have unsent before its watchers pause. */
  readonly maxUnsentBytes?: number;
  /** Connections at a time; those beyond are closed at once. Default 8,192. */
  readonly maxConnections?: number;
  /** How long calls under way may take after closing began. */
  readonly closeGraceMs?: number;
}

/** An etcd v3 API on a port. Disposing of it refuses new calls, ends the open ones and leaves the engine open. */
export interface EtcdServer extends AsyncDisposable {
  address(): { readonly host: string; readonly port: number };
}

const window = 16 * 1024 * 1024;
/** Requests are small: a stream may have this much on its way to us, a connection {@link window}. */
const streamWindow = 4 * 1024 * 1024;
/** From the connection, or the answer before, to the end of the headers of a request. */
const headersTimeoutMs = 10_000;
const refusalsLogMs = 60_000;

/**
 * Serves an engine over the etcd v3 API: gRPC in cleartext HTTP/2 with prior knowledge, and, on the same port, HTTP/1.1
 * `GET /version`, `/health` and `/readyz`. See README.md for what is supported.
 */
export async function serveEtcd(options: ServeEtcdOptions): Promise<EtcdServer> {
  const context = new ServeContext(options);
  const connections = new Connections(context);
  const listener = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }, (socket) =>
    connections.accept(socket),
  );
  listener.maxConnections = options.maxConnections ?? 8192;
  let refusedLogged = -Infinity;
  listener.on('drop', () => {
    if (options.clock.monotonicMs() - refusedLogged < refusalsLogMs) return;
    refusedLogged = options.clock.monotonicMs();
    options.log.warn('Etcd clients are refused, too many are connected', { connections: listener.maxConnections });
  });
  await listen(listener, options.listen);
  // Without a listener for it, a later failure to accept (no file descriptors left) would end the process.
  listener.on('error', (error) => options.log.warn('Accepting etcd clients failed', { error }));
  const { address: host, port } = listener.address() as AddressInfo;
  context.clientUrls = options.advertiseUrls ?? [`http://${host.includes(':') ? `[${host}]` : host}:${port}`];
  const scrape = options.metrics && serveMetrics(options.metrics, context);
  options.log.info('Serving the etcd API', { endpoint: `${host}:${port}` });
  return {
    address: () => ({ host, port }),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      await connections.close(options.closeGraceMs ?? 1000);
      await closed;
      scrape?.[Symbol.dispose]();
    },
  };
}

/** All connections of one server, whichever protocol they speak. */
class Connections {
  readonly #context: ServeContext;
  readonly #http2: Http2Server;
  readonly #http1: HttpServer;
  readonly #sockets = new Set<Socket>();
  /** Those that have not said yet which protocol they speak. */
  readonly #undecided = new Set<Socket>();
  readonly #sessions = new Set<Http2Session>();
  readonly #patience = new WeakMap<Socket, Patience>();

  constructor(context: ServeContext) {
    this.#context = context;
    this.#http2 = createHttp2Server({
      settings: { initialWindowSize: streamWindow, maxConcurrentStreams: 8192, enablePush: false },
      // A client that gives up many calls at once (a cancelled context) is no attack.
      streamResetBurst: 1_000_000,
      streamResetRate: 1_000_000,
      // Counts answers not yet sent, too: a large range to a slow reader must not end its connection. In megabytes.
      maxSessionMemory: 4096,
    });
    this.#http2.on('session', (session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      session.setLocalWindowSize(window);
    });
    // The socket's error says the same and is logged. (Go's client ends every connection this way: its GOAWAY names a
    // stream of its own, which nghttp2 does not take.)
    this.#http2.on('sessionError', () => undefined);
    this.#http2.on('stream', (stream, headers) => answerGrpc(context, stream, headers));
    this.#http1 = createHttpServer((request, response) => {
      const patience = this.#patience.get(request.socket);
      patience?.end();
      response.once('finish', () => patience?.begin());
      answerHttp(context, request, response);
    });
  }

  accept(socket: Socket): void {
    this.#sockets.add(socket);
    this.#undecided.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#undecided.delete(socket);
    });
    socket.on('error', (error) => this.#context.log.debug('An etcd client connection failed', { error }));
    const patience = new Patience(socket, this.#context.clock, headersTimeoutMs);
    this.#patience.set(socket, patience);
    sniffProtocol(socket, (protocol) => {
      this.#undecided.delete(socket);
      if (protocol === 'http1') {
        this.#http1.emit('connection', socket);
        return;
      }
      // The session is made within `emit`, and shows the socket only behind a proxy.
      const begun = (session: Http2Session): void => void session.once('remoteSettings', () => patience.end());
      this.#http2.once('session', begun).emit('connection', socket);
      this.#http2.off('session', begun);
    });
  }

  async close(graceMs: number): Promise<void> {
    // Streams that last (watches, keep-alives) end with a status first; GOAWAY then lets the others finish.
    this.#context.close();
    const gone = Promise.all(
      [...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
    );
    for (const session of this.#sessions) session.close();
    this.#http1.closeIdleConnections();
    const timer = this.#context.clock.timer(graceMs, () => {
      for (const session of this.#sessions) session.destroy();
      for (const socket of this.#sockets) socket.destroy();
    });
    for (const socket of this.#undecided) socket.destroy();
    await gone;
    timer[Symbol.dispose]();
  }
}

function listen(listener: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(address, () => {
      listener.off('error', reject);
      resolve();
    });
  });
}

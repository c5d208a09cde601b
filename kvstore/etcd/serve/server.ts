import { type AddressInfo, type Server, createServer } from 'node:net';
import type { Clock } from '../../../runtime/clock/index.ts';
import type { Logger } from '../../../runtime/log/index.ts';
import type { Metrics } from '../../../runtime/metrics/index.ts';
import type { Users } from '../../auth/index.ts';
import type { Engine } from '../../contract/index.ts';
import { Connections } from './connections.ts';
import type { ServeLimits } from './limits.ts';
import { type ServeTlsOptions, secureListener } from './secure-listener.ts';
import { Seldom } from './seldom.ts';
import { ServeContext } from './serve-context.ts';
import { serveMetrics } from './serve-metrics.ts';

/** Where to listen: an address (port 0: any free one), or a listening socket that somebody else made. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly fd: number };

export interface ServeEtcdOptions {
  readonly engine: Engine;
  readonly listen: ListenAddress;
  readonly log: Logger;
  readonly clock: Clock;
  /** Cleartext unless given. */
  readonly tls?: ServeTlsOptions;
  /**
   * Who may do what, by certificate; everybody may do everything unless given. Their authorities are the ones that
   * clients' certificates must come from, so `tls` has to be there, with `clientCertAuth` and no other authority.
   */
  readonly users?: Users;
  readonly metrics?: Metrics;
  /** Name of the one member, as `etcdctl member list` shows it. */
  readonly memberName?: string;
  /** What member lists give as client URLs; the address listened on unless told. */
  readonly advertiseUrls?: readonly string[];
  /** Between the progress notices of a watch that asked for them and is silent: etcd's 10 minutes unless told. */
  readonly progressIntervalMs?: number;
  readonly limits?: Partial<ServeLimits>;
  /** How long calls under way may take after closing began. */
  readonly closeGraceMs?: number;
}

/** An etcd v3 API on a port. Disposing of it refuses new calls, ends the open ones and leaves the engine open. */
export interface EtcdServer extends AsyncDisposable {
  address(): { readonly host: string; readonly port: number };
}

/**
 * Serves an engine over the etcd v3 API: gRPC over HTTP/2 and, on the same port, HTTP/1.1 `GET /version`, `/health` and
 * `/readyz`; in cleartext (HTTP/2 with prior knowledge) or over TLS (ALPN). See README.md for what is supported.
 * @throws {TlsFileError}
 */
export async function serveEtcd(options: ServeEtcdOptions): Promise<EtcdServer> {
  const { clock, log, users } = options;
  if (users && (!options.tls?.clientCertAuth || options.tls.trustedCaFile !== undefined))
    throw new TypeError('Users are known by certificates: tls.clientCertAuth is needed, and no tls.trustedCaFile');
  const context = new ServeContext(options);
  const connections = new Connections(context);
  const secure =
    options.tls &&
    (await secureListener(
      { ...options.tls, clock, log, ...(users ? { authorities: () => users.authorities } : {}) },
      (socket) => connections.acceptSecure(socket),
    ));
  const changes = users?.onChange(() => {
    secure?.refresh();
    connections.identifyAgain();
  });
  const listener: Server =
    secure?.server ?? createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
  listener.on('connection', (socket) => (secure ? connections.shakesHands(socket) : connections.accept(socket)));
  listener.maxConnections = context.limits.maxConnections;
  const refused = new Seldom(clock);
  listener.on('drop', () =>
    refused.run(() =>
      log.warn('Etcd clients are refused, too many are connected', { connections: listener.maxConnections }),
    ),
  );
  try {
    await listen(listener, options.listen);
  } catch (error) {
    changes?.[Symbol.dispose]();
    await secure?.[Symbol.asyncDispose]();
    throw error;
  }
  // Without a listener for it, a later failure to accept (no file descriptors left) would end the process.
  listener.on('error', (error) => log.warn('Accepting etcd clients failed', { error }));
  const { address: host, port } = listener.address() as AddressInfo;
  context.clientUrls = options.advertiseUrls ?? [
    `${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
  ];
  const scrape = options.metrics && serveMetrics(options.metrics, context, secure);
  log.info('Serving the etcd API', { endpoint: `${host}:${port}`, tls: secure !== undefined });
  return {
    address: () => ({ host, port }),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      await connections.close(options.closeGraceMs ?? 1000);
      await closed;
      changes?.[Symbol.dispose]();
      await secure?.[Symbol.asyncDispose]();
      scrape?.[Symbol.dispose]();
    },
  };
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

import {
  KvstoreMesh,
  type KvstoreMeshStatus,
  inAlphabeticalOrder,
  kvstoreMeshMetrics,
  serviceModes,
  watchPeers,
} from '../clustermesh/index.ts';
import { etcdRemoteStores } from '../agent/index.ts';
import { measureStore, storeMetrics } from '../kvstore/index.ts';
import { checkPeerUid } from '../kernel/index.ts';
import { defineOptions, formatHostPort } from '../runtime/options/index.ts';
import { serveTcpApi, serveUnixApi } from '../runtime/serve/index.ts';
import { clusterOptions, ownCluster } from './cluster-options.ts';
import { defineCommand } from './command.ts';
import { daemonOptions, openDaemon } from './daemon.ts';
import { engineSettings, ownEngineOptions } from './engine-options.ts';
import { copierDefaults, etcdTuning, etcdTuningOptions, onceReady, steady } from './etcd-tuning.ts';
import { leaseTtlSeconds } from './lease-ttl.ts';
import { openOwnStore, ownStoreAddress } from './own-store.ts';
import { type ServeSecurity, serveSecurity, serveSecurityOptions } from './serve-security.ts';
import { engineReadiness, whileWritable } from './serve-store.ts';
import { requireDirectoryOrNothing } from './system-error.ts';

/** `isthmus kvstoremesh`: remote stores → local cache. */
export const kvstoremesh = defineCommand({
  description:
    "Runs until SIGINT or SIGTERM. Every cluster that a file of --clustermesh-config names is followed, and copied into\nthe own cluster's store under cilium/cache, where agents read it. The store is an etcd, a Consul, the apiserver of\nthis cluster (--store etcd with its address), or this process. Several processes may run: one leads. An orderly\nstop removes nothing; what was copied of a cluster goes three minutes after its file.",
  options: defineOptions({
    ...clusterOptions,
    store: {
      type: 'choice',
      choices: ['etcd', 'consul', 'embedded', 'memory'],
      default: 'etcd',
      help: 'The own cluster’s store; embedded and memory are served by this process',
    },
    'store-config': {
      type: 'string',
      placeholder: 'FILE',
      help: 'How an etcd, an apiserver or Consul is reached (YAML)',
    },
    ...ownEngineOptions,
    ...serveSecurityOptions,
    'clustermesh-config': {
      type: 'string',
      required: true,
      placeholder: 'DIR',
      help: 'Directory with one etcd configuration for each remote cluster, named after it',
    },
    'clustermesh-cache-ttl': {
      type: 'duration',
      default: '0s',
      help: 'Services go from the cache when a remote cluster is away this long; 0s: never',
    },
    'clustermesh-service-v2': {
      type: 'choice',
      choices: serviceModes,
      default: 'prefer-legacy',
      help: 'Form of backends that this cluster reads; the same in all its processes',
    },
    'lease-loss-grace': {
      type: 'duration',
      default: '24h',
      help: 'What went with a lease of a remote cluster is kept this long, unless it comes back; 0s: for ever',
    },
    'per-cluster-ready-timeout': {
      type: 'duration',
      default: '15s',
      help: 'A remote cluster that is not connected by then holds readiness back no longer',
    },
    'global-ready-timeout': { type: 'duration', default: '10m', help: 'Ready by then, whatever is missing' },
    'enable-heartbeat': {
      type: 'boolean',
      help: 'Write the heartbeat of the own cluster, where no apiserver does',
    },
    'disable-drain-on-disconnection': {
      type: 'boolean',
      help: 'Keep the copies of a cluster that is no longer configured',
    },
    'kvstore-lease-ttl': {
      type: 'duration',
      default: '15m',
      help: 'The heartbeat goes this long after the last sign of life; copies have no lease',
    },
    'api-serve-addr': {
      type: 'address',
      default: '127.0.0.1:9889',
      help: 'Serve GET /v1/cluster here; port 0 is any free one',
    },
    'api-socket': {
      type: 'string',
      placeholder: 'PATH',
      help: 'Control socket, for isthmus status; none unless given',
    },
    ...etcdTuningOptions,
    ...daemonOptions,
  }),
  examples: [
    'isthmus kvstoremesh --cluster-name east --cluster-id 1 --store-config /etc/isthmus/store.yaml --clustermesh-config /etc/isthmus/remotes',
  ],
  run: async (context, { options }) => {
    const { clock, signal } = context;
    const cluster = ownCluster(options);
    requireDirectoryOrNothing('--data-dir', options.dataDir);
    requireDirectoryOrNothing('--clustermesh-config', options.clustermeshConfig);
    const settings = engineSettings(options);
    const address = ownStoreAddress(options);
    const isOurs = address === 'memory' || address.kind === 'embedded';
    const security: ServeSecurity = isOurs ? serveSecurity(options.listen, options) : { kind: 'cleartext' };
    const tuning = etcdTuning(options.kvstoreOpt, copierDefaults);
    const ttlSeconds = leaseTtlSeconds(options);
    await using daemon = await openDaemon(context, options, 'kvstoremesh');
    const { log, metrics } = daemon;
    const deps = { clock, log, metrics };
    await using own = await openOwnStore(
      address,
      { listen: options.listen, security, clusterName: cluster.clusterName },
      settings,
      { ...deps, tuning },
    );
    const kvstoreMetrics = storeMetrics(metrics);
    let unread: KvstoreMeshStatus['unread'];
    const onLook = (failure: string | undefined): void => {
      const object = `directory ${options.clustermeshConfig}`;
      unread = failure === undefined ? undefined : [{ object, reason: failure }];
    };
    const mesh = new KvstoreMesh(
      {
        ...cluster,
        serviceMode: options.clustermeshServiceV2,
        cacheTtlMs: options.clustermeshCacheTtlMs,
        leaseLossGraceMs: options.leaseLossGraceMs,
        perClusterReadyTimeoutMs: options.perClusterReadyTimeoutMs,
        globalReadyTimeoutMs: options.globalReadyTimeoutMs,
        enableHeartbeat: options.enableHeartbeat,
        disableDrainOnDisconnection: options.disableDrainOnDisconnection,
        leaseTtlSeconds: ttlSeconds,
      },
      {
        store: measureStore(own.store, clock, kvstoreMetrics),
        openStore: etcdRemoteStores({ clock, log, metrics: kvstoreMetrics, tuning: steady(tuning) }),
        peers: (running) =>
          watchPeers(
            { directory: options.clustermeshConfig, ownCluster: cluster.clusterName, clock, log, onLook },
            running,
          ),
        clock,
        log,
      },
    );
    using _metrics = kvstoreMeshMetrics(metrics, mesh);
    const routes = { 'GET /v1/cluster': () => inAlphabeticalOrder(mesh.clusters()) };
    await using api = await serveTcpApi({ ...options.apiServeAddr, routes, log });
    await using _socket =
      options.apiSocket === undefined
        ? undefined
        : await serveUnixApi({
            path: options.apiSocket,
            routes: { ...routes, 'GET /v1/status': () => ({ ...mesh.status(), ...(unread ? { unread } : {}) }) },
            checkPeer: checkPeerUid,
            log,
          });
    daemon.reportReadiness(async () => {
      const { ready, waitingFor = [] } = own.engine ? await engineReadiness(own.engine) : { ready: true };
      const { connected, endpoint } = own.store.health();
      const lost = connected ? [] : [`connection to store ${endpoint}`];
      return {
        ready: ready && connected && mesh.ready,
        waitingFor: [...waitingFor, ...lost, ...mesh.waitingFor()],
      };
    });
    context.stdout(
      `Copying remote clusters into ${own.servedAt === undefined ? own.name : `the store that is served on ${own.servedAt}`}; GET /v1/cluster on ${formatHostPort(api.address)}\n`,
    );
    void onceReady(() => mesh.ready, own.bootstrapped, { clock, signal });
    await whileWritable(own.engine, signal, (running) => mesh.run(running));
    return 0;
  },
});

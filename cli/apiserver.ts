import { Apiserver } from '../clustermesh/index.ts';
import { checkPeerUid } from '../kernel/index.ts';
import { EngineStore } from '../kvstore/index.ts';
import { defineOptions, formatHostPort, UsageError } from '../runtime/options/index.ts';
import { serveUnixApi } from '../runtime/serve/index.ts';
import { clusterOptions, ownCluster } from './cluster-options.ts';
import { defineCommand } from './command.ts';
import { daemonOptions, openDaemon, requireLoopback } from './daemon.ts';
import { openSource } from './kubernetes-source.ts';
import { openEngine, serveEngine } from './serve-store.ts';

/** `isthmus apiserver`: Kubernetes → store, and the store itself. */
export const apiserver = defineCommand({
  description:
    'Runs until SIGINT or SIGTERM. The store is served over the etcd v3 API; agents of this cluster write to it, those\nof other clusters read it. An orderly stop withdraws nothing.',
  options: defineOptions({
    ...clusterOptions,
    store: {
      type: 'choice',
      choices: ['embedded', 'memory'],
      default: 'embedded',
      help: 'Where records are kept; memory forgets them with the process',
    },
    'data-dir': { type: 'string', placeholder: 'DIR', help: 'Directory of the embedded store; made when missing' },
    listen: {
      type: 'address',
      default: '127.0.0.1:2379',
      help: 'Address to serve the store on; port 0 is any free one',
    },
    insecure: { type: 'boolean', help: 'Allow an address beyond loopback although there is no TLS' },
    source: {
      type: 'string',
      required: true,
      placeholder: 'KIND:PATH',
      help: 'Where Kubernetes objects come from: manifests:DIR (followed) or stream:SOCKET',
    },
    'api-socket': {
      type: 'string',
      placeholder: 'PATH',
      help: 'Control socket, for isthmus status; none unless given',
    },
    'kvstore-lease-ttl': {
      type: 'duration',
      default: '15m',
      help: 'What is published goes this long after the last sign of life',
    },
    'silent-node-after': {
      type: 'duration',
      default: '5m',
      help: 'A ready node whose agent says nothing this long no longer holds back what peers wait for',
    },
    ...daemonOptions,
  }),
  examples: [
    'isthmus apiserver --cluster-name east --cluster-id 1 --data-dir /var/lib/isthmus/store --source manifests:/etc/isthmus/manifests',
  ],
  run: async (context, { options }) => {
    const { clock, signal } = context;
    const own = ownCluster(options);
    requireLoopback(options.listen, options.insecure);
    if (options.store === 'embedded' && options.dataDir === undefined)
      throw new UsageError('--data-dir is required for the embedded store', { option: '--data-dir' });
    await using daemon = await openDaemon(context, options, 'apiserver');
    const { log, metrics } = daemon;
    const deps = { clock, log, metrics };
    const source = await openSource(options.source, deps);
    await using engine = await openEngine(options.store === 'memory' ? undefined : options.dataDir, deps);
    await using server = await serveEngine(engine, options.listen, deps);
    const endpoint = formatHostPort(server.address());
    await using store = new EngineStore(engine, { clock, endpoint: `embedded at ${endpoint}` });
    const leaseTtlSeconds = Math.ceil(options.kvstoreLeaseTtlMs / 1000);
    await using publishing = new Apiserver({
      ...own,
      store,
      source,
      leaseTtlSeconds,
      silentNodeMs: options.silentNodeAfterMs,
      ...deps,
    });
    await using _api =
      options.apiSocket === undefined
        ? undefined
        : await serveUnixApi({
            path: options.apiSocket,
            routes: { 'GET /v1/status': () => publishing.status() },
            checkPeer: checkPeerUid,
            log,
          });
    daemon.reportReadiness(() => ({ ready: publishing.ready, waitingFor: publishing.status().waitingFor }));
    context.stdout(`Serving the store of ${own.clusterName} on ${endpoint}\n`);
    await publishing.run(signal);
    return 0;
  },
});

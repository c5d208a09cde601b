import { ApiserverReplica } from '../clustermesh/index.ts';
import { measureStore, storeMetrics } from '../kvstore/index.ts';
import { checkPeerUid } from '../kernel/index.ts';
import { defineOptions } from '../runtime/options/index.ts';
import { serveUnixApi } from '../runtime/serve/index.ts';
import { TaskGroup } from '../runtime/tasks/index.ts';
import { clusterOptions, ownCluster } from './cluster-options.ts';
import { defineCommand } from './command.ts';
import { daemonOptions, openDaemon } from './daemon.ts';
import { engineSettings, ownEngineOptions } from './engine-options.ts';
import { openSource } from './kubernetes-source.ts';
import { leaseTtlSeconds } from './lease-ttl.ts';
import { mirrorOf, mirrorOptions, requireMirrored } from './mirror-options.ts';
import { etcdTuning, etcdTuningOptions, onceReady, publisherDefaults } from './etcd-tuning.ts';
import { openOwnStore, ownStoreAddress } from './own-store.ts';
import { publishingOf, publishingOptions } from './publishing-options.ts';
import { electionOptions, replicaElection } from './replica-election.ts';
import { type ServeSecurity, serveSecurity, serveSecurityOptions } from './serve-security.ts';
import { engineReadiness, whileWritable } from './serve-store.ts';
import { requireDirectoryOrNothing } from './system-error.ts';
import { openPeerServing, peerServingOptions, withCertificates, withPeerFiles } from './peer-serving.ts';

/** `isthmus apiserver`: Kubernetes → store, and the store itself. */
export const apiserver = defineCommand({
  description:
    'Runs until SIGINT or SIGTERM. The store is served over the etcd v3 API; agents of this cluster write to it, those\nof other clusters read it. With --store etcd or consul it publishes into a store that is there already, and serves\nnothing itself but a read-only mirror, if --mirror-listen asks for one: peers that run Cilium cannot read Consul.\nAn orderly stop withdraws nothing. Certificates of the store and its users: isthmus peer init, docs/operations.md.',
  options: defineOptions({
    ...clusterOptions,
    store: {
      type: 'choice',
      choices: ['embedded', 'etcd', 'consul', 'memory'],
      default: 'embedded',
      help: 'Where records are kept; memory forgets them with the process',
    },
    'store-config': {
      type: 'string',
      placeholder: 'FILE',
      help: 'How an etcd or Consul is reached (YAML); not for a store of our own',
    },
    ...ownEngineOptions,
    ...mirrorOptions,
    ...serveSecurityOptions,
    ...peerServingOptions,
    source: {
      type: 'string',
      required: true,
      placeholder: 'KIND[:PATH]',
      help: 'Where Kubernetes objects come from: kubernetes (as a pod), kubernetes:KUBECONFIG, manifests:DIR or stream:SOCKET',
    },
    ...publishingOptions,
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
    ...electionOptions,
    'silent-node-after': {
      type: 'duration',
      default: '5m',
      help: 'A ready node whose agent says nothing this long no longer holds back what peers wait for',
    },
    ...etcdTuningOptions,
    ...daemonOptions,
  }),
  examples: [
    'isthmus apiserver --cluster-name east --cluster-id 1 --data-dir /var/lib/isthmus/store --source kubernetes',
    'isthmus apiserver --cluster-name east --cluster-id 1 --data-dir /var/lib/isthmus/store --source manifests:/etc/isthmus/manifests',
    'isthmus apiserver --cluster-name east --cluster-id 1 --store etcd --store-config /etc/isthmus/etcd.yaml --source manifests:/etc/isthmus/manifests',
  ],
  run: async (context, { options: given }) => {
    const { clock, signal } = context;
    const cluster = ownCluster(given);
    const options = await withPeerFiles(given, cluster);
    requireDirectoryOrNothing('--data-dir', options.dataDir);
    const address = ownStoreAddress(options);
    const isOurs = address === 'memory' || address.kind === 'embedded';
    const security: ServeSecurity = isOurs ? serveSecurity(options.listen, options) : { kind: 'cleartext' };
    const settings = engineSettings(options);
    const mirrored = requireMirrored(options);
    const { kinds, ...publishing } = publishingOf(options);
    const tuning = etcdTuning(options.kvstoreOpt, publisherDefaults);
    const ttlSeconds = leaseTtlSeconds(options);
    await using daemon = await openDaemon(context, options, 'apiserver');
    await using peering = await openPeerServing(options, { clock, log: daemon.log, metrics: daemon.metrics });
    const { log, metrics } = daemon;
    const deps = { clock, log, metrics };
    const { source, api } = await openSource(options.source, kinds, { ...deps, env: context.env });
    await using own = await openOwnStore(
      address,
      { listen: options.listen, security, clusterName: cluster.clusterName },
      settings,
      { ...deps, tuning },
    );
    const mirror = mirrorOf(own.store, mirrored, deps);
    const store = measureStore(own.store, clock, storeMetrics(metrics));
    const election = isOurs ? undefined : await replicaElection(options, store, api, deps);
    const replica = new ApiserverReplica(
      {
        ...cluster,
        ...publishing,
        store,
        source,
        leaseTtlSeconds: ttlSeconds,
        silentNodeMs: options.silentNodeAfterMs,
        ...deps,
      },
      election,
    );
    await using _api =
      options.apiSocket === undefined
        ? undefined
        : await serveUnixApi({
            path: options.apiSocket,
            routes: { 'GET /v1/status': () => withCertificates(replica.status(), peering) },
            checkPeer: checkPeerUid,
            log,
          });
    daemon.reportReadiness(async () => {
      const { ready, waitingFor = [] } = own.engine ? await engineReadiness(own.engine) : { ready: true };
      const { store: connection, waitingFor: unpublished } = replica.status();
      const lost = connection.connected ? [] : [`connection to store ${connection.endpoint}`];
      return {
        ready: ready && connection.connected && replica.ready && mirror?.status().synced !== false,
        waitingFor: [
          ...waitingFor,
          ...lost,
          ...(replica.ready ? [] : unpublished),
          ...(mirror?.status().synced === false ? ['the read-only mirror'] : []),
        ],
      };
    });
    context.stdout(
      own.servedAt === undefined
        ? `Publishing ${cluster.clusterName} into ${own.name}\n`
        : `Serving the store of ${cluster.clusterName} on ${own.servedAt}\n`,
    );
    await whileWritable(own.engine, signal, async (running) => {
      await using tasks = new TaskGroup(running);
      tasks.run((alive) => replica.run(alive));
      tasks.run((alive) => onceReady(() => replica.published, own.bootstrapped, { clock, signal: alive }));
      if (mirror) tasks.run((alive) => mirror.run(alive));
      if (peering) tasks.run((alive) => peering.run(alive));
      await tasks.wait();
    });
    return 0;
  },
});

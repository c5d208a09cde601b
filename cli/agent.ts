import { hostname } from 'node:os';
import { etcdRemoteStores, remoteCertificate, runAgent } from '../agent/index.ts';
import { serviceModes } from '../clustermesh/index.ts';
import { checkPeerUid } from '../kernel/index.ts';
import { measureStore, openStore, storeMetrics } from '../kvstore/index.ts';
import { defineOptions } from '../runtime/options/index.ts';
import { openAgentKernel } from './agent-kernel.ts';
import { clusterOptions, ownCluster } from './cluster-options.ts';
import { defineCommand } from './command.ts';
import { daemonOptions, openDaemon } from './daemon.ts';
import { ownNode } from './own-node.ts';
import { prefixesOf } from './prefix-list.ts';
import { etcdTuning, etcdTuningOptions, onceReady, steady } from './etcd-tuning.ts';
import { leaseTtlSeconds } from './lease-ttl.ts';
import { requireDirectoryOrNothing } from './system-error.ts';

/** `isthmus agent`: one node. */
export const agent = defineCommand({
  description:
    'Runs until SIGINT or SIGTERM. An orderly stop withdraws nothing: what the kernel holds goes on working, and the\nnode stays registered until its lease runs out. Its certificate for the store: isthmus peer issue agent-NODE.',
  options: defineOptions({
    ...clusterOptions,
    'node-name': { type: 'string', default: hostname(), help: 'Name of this node' },
    'node-ip': {
      type: 'string',
      required: true,
      placeholder: 'IP',
      help: 'IPv4 address of this node, where tunnels end',
    },
    store: {
      type: 'choice',
      choices: ['embedded', 'etcd', 'consul'],
      default: 'etcd',
      help: 'Kind of the own cluster’s store; embedded is the one in the apiserver, reached as etcd is',
    },
    'store-config': {
      type: 'string',
      required: true,
      placeholder: 'FILE',
      help: 'How the own cluster’s store is reached (YAML): an etcd client configuration, or one for Consul',
    },
    'clustermesh-config': {
      type: 'string',
      placeholder: 'DIR',
      help: 'One etcd client configuration for each remote cluster, the file named after the cluster',
    },
    'state-dir': {
      type: 'string',
      default: '/var/lib/isthmus/agent',
      placeholder: 'DIR',
      help: 'What has to survive a restart of the agent',
    },
    'api-socket': {
      type: 'string',
      default: '/run/isthmus/agent.sock',
      placeholder: 'PATH',
      help: 'Control socket, for CNI plug-ins and for isthmus get',
    },
    'bpf-dir': {
      type: 'string',
      default: '/sys/fs/bpf/isthmus',
      placeholder: 'DIR',
      help: 'Directory on a bpffs where programs and maps are pinned',
    },
    cgroup: {
      type: 'string',
      placeholder: 'PATH',
      help: 'cgroup of the processes that get services at the socket level; none unless given',
    },
    kernel: {
      type: 'choice',
      choices: ['linux', 'memory'],
      default: 'linux',
      help: 'What is driven; memory sends no packet',
    },
    'tc-mode': {
      type: 'choice',
      choices: ['auto', 'tcx', 'clsact'],
      default: 'auto',
      help: 'How programs attach: TCX links (kernel 6.6 or newer) or clsact filters',
    },
    'kvstore-lease-ttl': {
      type: 'duration',
      default: '15m',
      help: 'Keys of this node go this long after its last sign of life',
    },
    'clustermesh-sync-timeout': {
      type: 'duration',
      default: '1m',
      help: 'How long the first full pass waits for remote clusters',
    },
    'clustermesh-service-v2': {
      type: 'choice',
      choices: serviceModes,
      default: 'prefer-legacy',
      help: 'Form of backends that is read of other clusters; the same in all processes of this one',
    },
    'lease-loss-grace': {
      type: 'duration',
      default: '24h',
      help: 'What a remote told is kept this long after its lease has ended in a store that answers; 0 keeps it for ever',
    },
    'cluster-cidr': {
      type: 'list',
      placeholder: 'CIDR',
      help: 'Block of this cluster that no other may claim addresses of, beside those of its nodes and Services; may be repeated',
    },
    ...etcdTuningOptions,
    ...daemonOptions,
  }),
  run: async (context, { options }) => {
    const { clock, signal } = context;
    const { metricsAddress, storeConfig, clustermeshConfig, cgroup } = options;
    const own = ownCluster(options);
    const node = ownNode(options);
    const tuning = etcdTuning(options.kvstoreOpt);
    const ttlSeconds = leaseTtlSeconds(options);
    requireDirectoryOrNothing('--state-dir', options.stateDir);
    requireDirectoryOrNothing('--clustermesh-config', clustermeshConfig);
    // The agent serves health itself, since readiness is what it knows best.
    await using daemon = await openDaemon(context, { ...options, metricsAddress: undefined }, 'agent');
    const { log, metrics } = daemon;
    const kvstoreMetrics = storeMetrics(metrics);
    const kind = options.store === 'consul' ? 'consul' : 'etcd';
    await using opened = await openStore({ kind, configFile: storeConfig }, { clock, log, tuning });
    const { kernel, apiRoutes } = await openAgentKernel(options, log);
    await using _kernel = kernel;
    await runAgent(
      {
        ...own,
        ...node,
        stateDirectory: options.stateDir,
        apiSocket: options.apiSocket,
        pinDirectory: options.bpfDir,
        leaseTtlSeconds: ttlSeconds,
        syncTimeoutMs: options.clustermeshSyncTimeoutMs,
        lostLeaseGraceMs: options.leaseLossGraceMs,
        serviceMode: options.clustermeshServiceV2,
        clusterCidrs: prefixesOf('--cluster-cidr', options.clusterCidr),
        ...(clustermeshConfig === undefined ? {} : { clustermeshConfigDirectory: clustermeshConfig }),
        ...(cgroup === undefined ? {} : { cgroup }),
        ...(metricsAddress === undefined ? {} : { health: metricsAddress }),
      },
      {
        store: measureStore(opened.store, clock, kvstoreMetrics),
        kernel,
        openRemoteStore: etcdRemoteStores({ clock, log, metrics: kvstoreMetrics, tuning: steady(tuning) }),
        remoteCertificate,
        clock,
        log,
        metrics,
        checkPeer: checkPeerUid,
        started: (running) =>
          void onceReady(
            () => running.readiness().ready,
            () => opened.bootstrapped(),
            { clock, signal },
          ),
        ...(apiRoutes ? { apiRoutes } : {}),
      },
      signal,
    );
    return 0;
  },
});

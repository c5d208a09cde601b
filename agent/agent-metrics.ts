import { refusalCodes } from '../clustermesh/index.ts';
import type { Datapath } from '../datapath/index.ts';
import type { Clock } from '../runtime/clock/index.ts';
import { type Logger, fields } from '../runtime/log/index.ts';
import type { Metrics } from '../runtime/metrics/index.ts';
import type { AgentStatus } from './api/index.ts';

/** Metrics of an agent, named as Cilium names them (clustermesh-behaviour §14) where it has the same. */
export function agentMetrics(
  metrics: Metrics,
  status: () => AgentStatus,
  datapath: Pick<Datapath, 'dropCounters' | 'forwardCounters' | 'mapUsage'>,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Disposable {
  const perCluster = ['target_cluster'] as const;
  const remotes = metrics.gauge({ name: 'clustermesh_remote_clusters', help: 'Remote clusters that are configured' });
  const gauge = (name: string, help: string) =>
    metrics.gauge({ name: `clustermesh_remote_cluster_${name}`, help, labels: perCluster });
  const readiness = gauge('readiness_status', '1 while a remote cluster is connected and fully read');
  const failures = gauge('failures', 'Failed connections to a remote cluster');
  const lastFailure = gauge('last_failure_ts', 'When a connection last failed, in seconds since the Unix epoch');
  const nodes = gauge('nodes', 'Nodes known of a remote cluster');
  const services = gauge('services', 'Shared services known of a remote cluster');
  const slices = gauge('endpoint_slices', 'EndpointSlices known of a remote cluster, where those are read');
  const endpoints = gauge('endpoints', 'Endpoint addresses known of a remote cluster');
  const heartbeatAge = gauge('heartbeat_age_seconds', 'Seconds since the last heartbeat of a remote cluster');
  const refused = metrics.gauge({
    name: 'clustermesh_remote_cluster_refused_records',
    help: 'Records of a remote cluster that were refused, by reason',
    labels: ['target_cluster', 'reason'],
  });
  const dataAge = gauge('data_age_seconds', 'How old what is known of a remote cluster may be; 0 while it is ready');
  const stale = gauge('stale', '1 while a remote cluster is silent or has lost its lease');
  const certificateExpiry = gauge(
    'certificate_expiry_ts',
    'When our certificate for a remote cluster expires, in seconds since the Unix epoch',
  );
  const restored = gauge('restored', '1 while a remote cluster is served from what an earlier life knew of it');
  const ready = metrics.gauge({
    name: 'agent_ready',
    help: '1 after the first full pass, while the own store can be reached',
  });
  const pending = metrics.gauge({
    name: 'agent_table_pending',
    help: 'Changes that wait to be written to a table of the datapath',
    labels: ['table'],
  });
  const queue = metrics.gauge({
    name: 'kvstore_sync_queue_size',
    help: 'Own keys that wait to be written to the store',
    labels: ['scope', 'source_cluster'],
  });
  const initialSync = metrics.gauge({
    name: 'kvstore_initial_sync_completed',
    help: '1 once a set of a remote cluster was listed on the present connection',
    labels: ['scope', 'source_cluster', 'action'],
  });
  const traffic = trafficMetrics(metrics, datapath);
  const pressure = pressureMetric(metrics, datapath, clock);
  let shown = new Set<string>();
  return metrics.onScrape(async () => {
    traffic();
    await pressure().catch((error: unknown) => log.warn('Cannot count the entries of maps', { [fields.error]: error }));
    const now = status();
    remotes.set(now.clusters.length);
    ready.set(now.ready ? 1 : 0);
    queue.set(now.registration.queued, { scope: 'agent', source_cluster: now.cluster });
    for (const table of now.tables) pending.set(table.pending, { table: table.name });
    const present = new Set(now.clusters.map(({ name }) => name));
    for (const gone of shown.difference(present))
      for (const metric of [
        readiness,
        failures,
        lastFailure,
        nodes,
        services,
        endpoints,
        heartbeatAge,
        slices,
        dataAge,
        stale,
        certificateExpiry,
        restored,
      ])
        metric.remove({ target_cluster: gone });
    for (const gone of shown.difference(present))
      for (const reason of refusalCodes) refused.remove({ target_cluster: gone, reason });
    for (const gone of shown.difference(present))
      for (const scope of Object.values(scopes)) initialSync.remove({ scope, source_cluster: gone, action: 'read' });
    shown = present;
    for (const cluster of now.clusters) {
      const labels = { target_cluster: cluster.name };
      readiness.set(cluster.ready ? 1 : 0, labels);
      failures.set(cluster['num-failures'], labels);
      lastFailure.set(Math.max(0, Math.floor(Date.parse(cluster['last-failure']) / 1000)), labels);
      nodes.set(cluster['num-nodes'], labels);
      services.set(cluster['num-shared-services'], labels);
      endpoints.set(cluster['num-endpoints'], labels);
      restored.set(cluster.restored ? 1 : 0, labels);
      for (const reason of refusalCodes) refused.set(cluster.refused.reasons[reason] ?? 0, { ...labels, reason });
      const sliceCount = cluster['num-endpoint-slices'];
      if (sliceCount !== undefined) slices.set(sliceCount, labels);
      stale.set(cluster.stale ? 1 : 0, labels);
      const old = cluster['data-age-seconds'];
      if (old !== undefined) dataAge.set(old, labels);
      if (cluster.certificate)
        certificateExpiry.set(Math.floor(Date.parse(cluster.certificate['not-after']) / 1000), labels);
      const age = cluster['heartbeat-age-seconds'];
      if (age !== undefined) heartbeatAge.set(age, labels);
      for (const [kind, synced] of Object.entries(cluster.synced))
        initialSync.set(synced ? 1 : 0, {
          scope: scopes[kind as keyof typeof scopes],
          source_cluster: cluster.name,
          action: 'read',
        });
    }
  });
}

/** Third and fourth segment of the keys of each kind. */
const scopes = {
  nodes: 'nodes/v1',
  endpoints: 'ip/v1',
  identities: 'identities/v1',
  services: 'services/v1',
  'endpoint-slices': 'endpointslices/v1',
} as const;

/** Maps are read to be counted: at most this often, however many scrape. */
const countEveryMs = 60_000;

/** Of each map of the datapath, how much of its room is taken. */
function pressureMetric(metrics: Metrics, datapath: Pick<Datapath, 'mapUsage'>, clock: Clock): () => Promise<void> {
  const pressure = metrics.gauge({
    name: 'bpf_map_pressure',
    help: 'Entries of a map of the datapath, divided by how many it has room for',
    labels: ['map_name'],
  });
  let countedMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (clock.monotonicMs() - countedMs < countEveryMs) return;
    countedMs = clock.monotonicMs();
    for (const { name, entries, maxEntries } of await datapath.mapUsage())
      pressure.set(entries / maxEntries, { map_name: name.replace(/^isthmus_/, '') });
  };
}

/** Counters of the kernel since its maps were made; a map that began anew counts from nothing. */
function trafficMetrics(metrics: Metrics, datapath: Pick<Datapath, 'dropCounters' | 'forwardCounters'>): () => void {
  const dropPackets = metrics.counter({
    name: 'drop_packets_total',
    help: 'Packets, and calls at the socket level, that the datapath refused',
    labels: ['reason'],
  });
  const dropBytes = metrics.counter({
    name: 'drop_bytes_total',
    help: 'Bytes that the datapath refused',
    labels: ['reason'],
  });
  const forwardPackets = metrics.counter({
    name: 'forward_packets_total',
    help: 'Packets that the datapath handed on',
    labels: ['event'],
  });
  const forwardBytes = metrics.counter({
    name: 'forward_bytes_total',
    help: 'Bytes that the datapath handed on',
    labels: ['event'],
  });
  const counted = new Map<string, number>();
  const growth = (series: string, value: number): number => {
    const before = counted.get(series) ?? 0;
    counted.set(series, value);
    return value >= before ? value - before : value;
  };
  return () => {
    for (const { name, packets, bytes } of datapath.dropCounters()) {
      dropPackets.add(growth(`drop packets ${name}`, packets), { reason: name });
      dropBytes.add(growth(`drop bytes ${name}`, bytes), { reason: name });
    }
    for (const { name, packets, bytes } of datapath.forwardCounters()) {
      forwardPackets.add(growth(`forward packets ${name}`, packets), { event: name });
      forwardBytes.add(growth(`forward bytes ${name}`, bytes), { event: name });
    }
  };
}

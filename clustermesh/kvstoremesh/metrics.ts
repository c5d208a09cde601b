import type { Metrics } from '../../runtime/metrics/index.ts';
import { watchPrefix } from '../wire/index.ts';
import type { KvstoreMesh } from './kvstore-mesh.ts';
import type { Reflector } from './reflector.ts';

/** Why a record is not copied: its address is outside `allowedCIDRs`; the own store cannot take it. As in the status. */
const notCopied = ['not-allowed', 'store'] as const;

/** Metrics of a kvstoremesh, named as Cilium names them (clustermesh-behaviour §14) where it has the same. */
export function kvstoreMeshMetrics(metrics: Metrics, mesh: KvstoreMesh): Disposable {
  const gauge = (name: string, help: string) =>
    metrics.gauge({ name: `remote_cluster_${name}`, help, labels: ['target_cluster'] });
  const remotes = metrics.gauge({ name: 'remote_clusters', help: 'Remote clusters that are configured' });
  const perCluster = {
    readiness: gauge('readiness_status', '1 while a remote cluster is connected, copied and not stale'),
    failures: gauge('failures', 'Failed connections to a remote cluster'),
    lastFailure: gauge('last_failure_ts', 'When a connection last failed, in seconds since the Unix epoch'),
    revocations: gauge('cache_revocations', 'Times that services of a remote cluster were taken out of the cache'),
    heartbeatAge: gauge('heartbeat_age_seconds', 'Seconds since the last heartbeat of a remote cluster'),
    held: gauge('held_removals', 'Records that went with a lease of a remote cluster and are kept for now'),
  };
  const refused = metrics.gauge({
    name: 'remote_cluster_refused_records',
    help: 'Records of a remote cluster that are not copied, by reason',
    labels: ['target_cluster', 'reason'],
  });
  const leader = metrics.gauge({
    name: 'leader_election_master_status',
    help: '1 while this process leads',
    labels: ['name'],
  });
  const bootstrap = metrics.gauge({ name: 'bootstrap_seconds', help: 'Time from the start until it was ready' });
  const sets = ['scope', 'source_cluster'] as const;
  const queue = metrics.gauge({ name: 'kvstore_sync_queue_size', help: 'Keys that wait to be written', labels: sets });
  const errors = metrics.counter({
    name: 'kvstore_sync_errors_total',
    help: 'Writes that failed and were repeated',
    labels: sets,
  });
  const initialSync = metrics.gauge({
    name: 'kvstore_initial_sync_completed',
    help: '1 once a set of a remote cluster was copied on the present connection',
    labels: [...sets, 'action'],
  });
  let shown = new Map<string, readonly Reflector[]>();
  let counted = 0;
  return metrics.onScrape(() => {
    leader.set(mesh.leader ? 1 : 0, { name: 'kvstoremesh' });
    if (mesh.bootstrapSeconds !== undefined) bootstrap.set(mesh.bootstrapSeconds);
    // All writes go through one place: which set was hit is the log's business.
    errors.add(mesh.writeErrors - counted, { scope: 'cache', source_cluster: '' });
    counted = mesh.writeErrors;
    const clusters = mesh.session?.clusters ?? [];
    remotes.set(clusters.length);
    const present = new Map(clusters.map(({ name, reflectors }) => [name, reflectors]));
    for (const [name, reflectors] of shown) {
      if (present.has(name)) continue;
      for (const metric of Object.values(perCluster)) metric.remove({ target_cluster: name });
      for (const reason of notCopied) refused.remove({ target_cluster: name, reason });
      for (const reflector of reflectors) {
        const labels = labelsOf(name, reflector);
        queue.remove(labels);
        initialSync.remove({ ...labels, action: 'write' });
      }
    }
    shown = present;
    for (const cluster of mesh.clusters()) {
      const labels = { target_cluster: cluster.name };
      perCluster.readiness.set(cluster.ready ? 1 : 0, labels);
      perCluster.failures.set(cluster['num-failures'], labels);
      perCluster.lastFailure.set(Math.max(0, Math.floor(Date.parse(cluster['last-failure']) / 1000)), labels);
      perCluster.revocations.set(cluster['cache-revocations'], labels);
      for (const reason of notCopied) refused.set(cluster.refused.reasons[reason] ?? 0, { ...labels, reason });
      perCluster.held.set(cluster['held-removals'], labels);
      const age = cluster['heartbeat-age-seconds'];
      if (age !== undefined) perCluster.heartbeatAge.set(age, labels);
    }
    for (const [name, reflectors] of present)
      for (const reflector of reflectors) {
        const labels = labelsOf(name, reflector);
        queue.set(reflector.pending, labels);
        initialSync.set(reflector.synced ? 1 : 0, { ...labels, action: 'write' });
      }
  });
}

/** Third and fourth segment of the keys. */
function labelsOf(
  cluster: string,
  { resource }: Reflector,
): { readonly scope: string; readonly source_cluster: string } {
  return {
    scope: watchPrefix(resource, cluster, 'cache').split('/').slice(2, 4).join('/'),
    source_cluster: cluster,
  };
}

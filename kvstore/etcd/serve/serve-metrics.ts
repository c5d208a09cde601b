import type { Metrics } from '../../../runtime/metrics/index.ts';
import type { SecureListener } from './secure-listener.ts';
import type { ServeContext } from './serve-context.ts';

/** Shows what the server counts. Reading at scrape time costs the calls nothing. */
export function serveMetrics(
  metrics: Metrics,
  context: ServeContext,
  secure?: Pick<SecureListener, 'certificate'>,
): Disposable {
  const calls = metrics.counter({
    name: 'etcd_server_calls_total',
    help: 'Calls of etcd clients answered, by method and gRPC code',
    labels: ['method', 'code'],
  });
  const watchers = metrics.gauge({ name: 'etcd_server_watchers', help: 'Watches of etcd clients that are open' });
  const pauses = metrics.counter({
    name: 'etcd_server_watch_pauses_total',
    help: 'Times a watch stream was paused because its client reads too slowly',
  });
  const connections = metrics.gauge({ name: 'etcd_server_connections', help: 'Connections of etcd clients' });
  const unsent = metrics.gauge({
    name: 'etcd_server_unsent_bytes',
    help: 'Bytes of answers and events that etcd clients have not taken yet',
  });
  const cuts = metrics.counter({
    name: 'etcd_server_cut_connections_total',
    help: 'Connections of etcd clients closed because they did not read',
  });
  const expiry = metrics.gauge({
    name: 'certificate_not_after_timestamp_seconds',
    help: 'When a certificate expires: what clients are shown (server), and others that are looked after here',
    labels: ['certificate'],
  });
  const shown = new Map<string, number>();
  let shownPauses = 0;
  let shownCuts = 0;
  return metrics.onScrape(() => {
    for (const [key, count] of context.calls) {
      const [path = '', code = ''] = key.split(' ');
      calls.add(count - (shown.get(key) ?? 0), { method: path.replace(/^\/etcdserverpb\./, ''), code });
      shown.set(key, count);
    }
    if (secure?.certificate) expiry.set(secure.certificate.notAfterMs / 1000, { certificate: 'server' });
    watchers.set(context.watchers);
    connections.set(context.clients.count);
    unsent.set(context.unsentBytes);
    cuts.add(context.clients.cuts - shownCuts);
    shownCuts = context.clients.cuts;
    pauses.add(context.pauses - shownPauses);
    shownPauses = context.pauses;
  });
}

import { type Store, SyncStore } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import type { Logger } from '../../runtime/log/index.ts';
import type { Metrics } from '../../runtime/metrics/index.ts';
import { ownKindPrefix, watchPrefix } from '../wire/index.ts';
import type { UnitKind } from './units.ts';

/** A sync store for one prefix that the apiserver alone writes. */
export interface Channel {
  readonly prefix: string;
  /** As in metrics: third and fourth segment of the key, or its first two words for records of our own. */
  readonly scope: string;
  readonly sync: SyncStore;
}

export interface ChannelOptions {
  readonly clusterName: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseTtlSeconds: number;
  readonly metrics?: Metrics;
}

/** One sync store per kind, so that a canary waits for the keys of its own kind only. */
export function openChannels(options: ChannelOptions): Record<UnitKind | 'meta', Channel> {
  const open = (prefix: string, scope: string): Channel => ({ prefix, scope, sync: openSync(options, scope) });
  return {
    shared: open(watchPrefix('services', options.clusterName), 'services/v1'),
    Service: open(ownKindPrefix('services'), 'isthmus/services'),
    EndpointSlice: open(ownKindPrefix('endpoints'), 'isthmus/endpoints'),
    Namespace: open(ownKindPrefix('namespaces'), 'isthmus/namespaces'),
    Node: open(ownKindPrefix('nodes'), 'isthmus/nodes'),
    Pod: open(ownKindPrefix('workloads'), 'isthmus/workloads'),
    meta: open('', 'meta'),
  };
}

function openSync(options: ChannelOptions, scope: string): SyncStore {
  const { store, clock, log, leaseTtlSeconds, clusterName, metrics } = options;
  const labels = { scope, source_cluster: clusterName };
  const queueSize = metrics?.gauge({
    name: 'kvstore_sync_queue_size',
    help: 'Keys that wait to be written',
    labels: ['scope', 'source_cluster'],
  });
  const errors = metrics?.counter({
    name: 'kvstore_sync_errors_total',
    help: 'Writes that failed and were repeated',
    labels: ['scope', 'source_cluster'],
  });
  return new SyncStore({
    store,
    clock,
    log,
    scope,
    leaseTtlSeconds,
    metrics: { queueSize: (size) => queueSize?.set(size, labels), error: () => errors?.inc(labels) },
  });
}

import { type Store, SyncStore, urgentStore } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import type { Logger } from '../../runtime/log/index.ts';
import type { Metrics } from '../../runtime/metrics/index.ts';
import { OwnedKeys } from './owned-keys.ts';
import type { PublishedSet } from './published-sets.ts';
import type { UnitKind } from './units.ts';

export interface ChannelOptions {
  readonly clusterName: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseTtlSeconds: number;
  readonly metrics?: Metrics;
}

/** Where keys go. */
export interface Channels {
  /** One sync store for each set that the apiserver alone writes: a canary waits for the keys of its own set only. */
  readonly of: ReadonlyMap<PublishedSet, SyncStore>;
  /** Cluster config, heartbeat, canaries: what others judge the whole cluster by does not wait for its records. */
  readonly meta: SyncStore;
  readonly keys: ReadonlyMap<UnitKind, OwnedKeys>;
  readonly all: readonly SyncStore[];
}

export function openChannels(sets: readonly PublishedSet[], options: ChannelOptions): Channels {
  const meta = openSync({ ...options, store: urgentStore(options.store) }, 'meta');
  const of = new Map(
    sets.filter(({ prefix }) => prefix !== undefined).map((set) => [set, openSync(options, set.scope)]),
  );
  const keys = new Map<UnitKind, OwnedKeys>();
  for (const [{ unit }, sync] of of) if (unit) keys.set(unit, new OwnedKeys(sync));
  return { of, meta, keys, all: [...of.values(), meta] };
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
    // Whoever kept our keys while we were cut off renews them no more: they are ours again before they run out.
    reassertMs: Math.min(300_000, leaseTtlSeconds * 333),
    metrics: { queueSize: (size) => queueSize?.set(size, labels), error: () => errors?.inc(labels) },
  });
}

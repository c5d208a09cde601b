import type { Clock } from '../../runtime/clock/index.ts';
import type { Metrics } from '../../runtime/metrics/index.ts';
import type { KubernetesKind, SourceObserver } from '../objects/index.ts';

/** Where a measured source reports. */
export interface SourceMetrics extends SourceObserver {
  readonly change: (kind: KubernetesKind, action: 'create' | 'modify' | 'delete') => void;
  readonly objects: (kind: KubernetesKind, count: number) => void;
  /** Whether a kind was read completely since it has been read. */
  readonly synced: (kind: KubernetesKind, synced: boolean) => void;
  /** It is not read any more: how old what it said last is, is no news. */
  readonly ended: (kind: KubernetesKind) => void;
}

/** The metrics of a process for where it reads Kubernetes objects: in the style of Cilium's for its stores (clustermesh-behaviour §14). */
export function sourceMetrics(metrics: Metrics, clock: Clock): SourceMetrics {
  const labels = ['kind'] as const;
  const objects = metrics.gauge({ name: 'kubernetes_objects', help: 'Objects of Kubernetes that are known', labels });
  const changes = metrics.counter({
    name: 'kubernetes_events_total',
    help: 'Changes of objects of Kubernetes, those that a listing found included',
    labels: ['kind', 'action'],
  });
  const listings = metrics.counter({
    name: 'kubernetes_listings_total',
    help: 'Listings that were begun; beyond the first each is one that had to be repeated',
    labels,
  });
  const errors = metrics.counter({
    name: 'kubernetes_watch_errors_total',
    help: 'Listings and watches that failed',
    labels: ['kind', 'reason'],
  });
  const initialSync = metrics.gauge({
    name: 'kubernetes_initial_sync_completed',
    help: '1 once all objects of a kind were read',
    labels,
  });
  const eventAge = metrics.gauge({
    name: 'kubernetes_last_event_age_seconds',
    help: 'Seconds since an object last changed',
    labels,
  });
  const contactAge = metrics.gauge({
    name: 'kubernetes_last_contact_age_seconds',
    help: 'Seconds since the API server last said anything of a kind, be it that nothing has changed',
    labels,
  });
  const ages = [
    { gauge: eventAge, at: new Map<KubernetesKind, number>() },
    { gauge: contactAge, at: new Map<KubernetesKind, number>() },
  ] as const;
  const [events, contacts] = ages;
  metrics.onScrape(() => {
    for (const { gauge, at } of ages)
      for (const [kind, ms] of at) gauge.set((clock.monotonicMs() - ms) / 1000, { kind });
  });
  return {
    change: (kind, action) => {
      changes.inc({ kind, action });
      events.at.set(kind, clock.monotonicMs());
    },
    objects: (kind, count) => objects.set(count, { kind }),
    synced: (kind, synced) => initialSync.set(synced ? 1 : 0, { kind }),
    ended: (kind) => {
      for (const gauge of [objects, initialSync, eventAge, contactAge]) gauge.remove({ kind });
      for (const { at } of ages) at.delete(kind);
    },
    listing: (kind) => listings.inc({ kind }),
    contact: (kind) => void contacts.at.set(kind, clock.monotonicMs()),
    failure: (kind, reason) => errors.inc({ kind, reason }),
  };
}

import type { Metrics } from '../../runtime/metrics/index.ts';

/** What is done to a store: the words of Cilium (clustermesh-behaviour §14). */
export interface StoreOperation {
  /** Third and fourth segment of the key, or its first twelve characters. */
  readonly scope: string;
  readonly kind: 'read' | 'set' | 'delete';
  readonly action: string;
  readonly outcome: 'success' | 'error';
}

export type EventAction = 'create' | 'modify' | 'delete' | 'listDone';

/** Where a measured store reports. */
export interface StoreMetrics {
  readonly operation: (operation: StoreOperation, seconds: number) => void;
  /** Events waited this long until their reader asked for more. */
  readonly events: (scope: string, action: EventAction, seconds: number) => void;
  readonly quorumError: (error: 'lock timeout' | 'no event received') => void;
}

/** The metrics of a process, for all its stores. */
export function storeMetrics(metrics: Metrics): StoreMetrics {
  const operations = metrics.histogram({
    name: 'kvstore_operations_duration_seconds',
    help: 'Duration of operations of the store',
    labels: ['scope', 'kind', 'action', 'outcome'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  });
  const events = metrics.histogram({
    name: 'kvstore_events_queue_seconds',
    help: 'Time that a batch of events waited for its reader',
    labels: ['scope', 'action'],
    buckets: [0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1],
  });
  const quorum = metrics.counter({
    name: 'kvstore_quorum_errors_total',
    help: 'Signs that a store has no quorum',
    labels: ['error'],
  });
  return {
    operation: ({ scope, kind, action, outcome }, seconds) =>
      operations.observe(seconds, { scope, kind, action, outcome }),
    events: (scope, action, seconds) => events.observe(seconds, { scope, action }),
    quorumError: (error) => quorum.inc({ error }),
  };
}

import type { KubernetesEvent, KubernetesKind, KubernetesSource } from '../objects/index.ts';
import type { SourceMetrics } from './source-metrics.ts';

/** The same source, with what it tells counted as it is taken, as long as it is read. */
export function measureSource(source: KubernetesSource, metrics: SourceMetrics): KubernetesSource {
  return {
    description: source.description,
    kinds: source.kinds,
    ...(source.namesNamespaces === undefined ? {} : { namesNamespaces: source.namesNamespaces }),
    watch: (signal) => counted(source, metrics, signal),
    ...(source.problems ? { problems: () => source.problems?.() ?? [] } : {}),
    ...(source.unread ? { unread: () => source.unread?.() ?? [] } : {}),
  };
}

async function* counted(
  source: KubernetesSource,
  metrics: SourceMetrics,
  signal: AbortSignal,
): AsyncGenerator<KubernetesEvent, void, void> {
  const known = new Map<KubernetesKind, Set<string>>();
  for (const kind of source.kinds) {
    known.set(kind, new Set());
    metrics.objects(kind, 0);
    metrics.synced(kind, false);
  }
  try {
    for await (const event of source.watch(signal)) {
      count(event, known, metrics);
      yield event;
    }
  } finally {
    for (const kind of source.kinds) metrics.ended(kind);
  }
}

function count(event: KubernetesEvent, known: ReadonlyMap<KubernetesKind, Set<string>>, metrics: SourceMetrics): void {
  if (event.type === 'synced') {
    metrics.synced(event.kind, true);
    return;
  }
  const { kind, namespace, name } =
    event.type === 'upsert' ? { kind: event.object.kind, ...event.object.metadata } : event;
  const ids = known.get(kind);
  if (!ids) return;
  const id = `${namespace}/${name}`;
  if (event.type === 'delete') {
    ids.delete(id);
    metrics.change(kind, 'delete');
  } else {
    metrics.change(kind, ids.has(id) ? 'modify' : 'create');
    ids.add(id);
  }
  metrics.objects(kind, ids.size);
}

import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields, silentLogger } from '../../runtime/log/index.ts';
import { type Schedule, exponential } from '../../runtime/retry/index.ts';
import { linkedController } from '../../runtime/tasks/index.ts';
import {
  type KubernetesEvent,
  type KubernetesKind,
  type KubernetesSource,
  type SourceObserver,
  kubernetesKinds,
} from '../objects/index.ts';
import type { ApiServer } from './api-server.ts';
import { type FollowOptions, followKind } from './follow-kind.ts';
import { merge } from './merge.ts';
import { Unread } from './unread.ts';

export interface KubernetesSourceOptions {
  readonly api: ApiServer;
  /** What is followed: those of mode `kubernetes` unless told. */
  readonly kinds?: readonly KubernetesKind[];
  readonly clock: Clock;
  readonly log?: Logger;
  /** Learns of listings and failures. */
  readonly observer?: SourceObserver;
  /** Objects in one answer of a listing. Default 500. */
  readonly pageSize?: number;
  readonly schedule?: Schedule;
  readonly random?: () => number;
}

const nobody: SourceObserver = { listing: () => undefined, contact: () => undefined, failure: () => undefined };

/**
 * Follows an API server: each kind by itself, by paged listings and by watches with bookmarks. It never gives up. What
 * cannot be read (no right, no such resource, nobody there) is named by `problems`, and nothing is concluded from it.
 *
 * Built for clusters of some ten thousand pods: a page of raw objects and one batch of changes for each kind are held at
 * once; of what was handed over, name and version.
 */
export function kubernetesSource(options: KubernetesSourceOptions): KubernetesSource {
  const { api, kinds = kubernetesKinds, clock, log = silentLogger, pageSize = 500 } = options;
  const { schedule = exponential({ firstMs: 250, maxMs: 30_000 }), random = Math.random, observer = nobody } = options;
  const unread = new Unread();
  const follow: FollowOptions = {
    api,
    clock,
    log: log.child({ [fields.component]: 'kubernetes' }),
    schedule,
    pageSize,
    random,
    observer,
  };
  return {
    description: `kubernetes:${api.description}`,
    kinds,
    namesNamespaces: true,
    watch: (signal) => followAll(kinds, follow, unread, signal),
    problems: () => unread.problems(),
    unread: () => unread.kinds(),
  };
}

async function* followAll(
  kinds: readonly KubernetesKind[],
  options: FollowOptions,
  unread: Unread,
  signal: AbortSignal,
): AsyncGenerator<KubernetesEvent, void, void> {
  using running = linkedController(signal);
  const all = kinds.map((kind) => followKind(kind, options, unread, running.signal));
  try {
    for await (const events of merge(all)) yield* events;
  } finally {
    running.abort(new DOMException('The source is not read any more', 'AbortError'));
    await Promise.allSettled(all.map((one) => one.return()));
  }
}

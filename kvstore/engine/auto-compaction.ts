import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, silentLogger } from '../../runtime/log/index.ts';
import { type Engine, EngineError } from '../contract/index.ts';

/** Keep what is younger than `retentionMs`, keep the last `revisions`, or keep everything. */
export type AutoCompaction =
  | { readonly mode: 'age'; readonly retentionMs: number }
  | { readonly mode: 'revisions'; readonly revisions: number }
  | { readonly mode: 'off' };

/** How often the revision is noted or looked at: a tenth of the retention, at most every five minutes, as in etcd. */
const maxIntervalMs = 5 * 60_000;

/** Compacts an engine's history until the signal aborts. A failed compaction is tried again at the next interval. */
export async function compactAutomatically(
  engine: Engine,
  policy: AutoCompaction,
  { clock, log = silentLogger }: { readonly clock: Clock; readonly log?: Logger },
  signal: AbortSignal,
): Promise<void> {
  if (policy.mode === 'off') return;
  const intervalMs =
    policy.mode === 'age' ? Math.min(maxIntervalMs, Math.max(1, policy.retentionMs / 10)) : maxIntervalMs;
  const noted: { readonly atMs: number; readonly revision: number }[] = [];
  while (!signal.aborted) {
    noted.push({ atMs: clock.monotonicMs(), revision: engine.revision });
    await clock.sleep(intervalMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    const target =
      policy.mode === 'age'
        ? newestOlderThan(noted, clock.monotonicMs() - policy.retentionMs)
        : engine.revision - policy.revisions;
    if (policy.mode === 'revisions') noted.length = 0;
    if (target <= engine.compactRevision) continue;
    try {
      await engine.compact(target);
      log.debug('History was compacted', { revision: target });
    } catch (error) {
      // It is damaged, and nothing is written any more.
      if (error instanceof EngineError && error.grpcCode === 15) return;
      if (!(error instanceof EngineError && error.grpcCode === 11) && !signal.aborted)
        log.warn('History could not be compacted', { error, revision: target });
    }
  }
}

/** Takes the notes up to `atMs` away and gives the last one's revision; 0 when there is none. */
function newestOlderThan(noted: { readonly atMs: number; readonly revision: number }[], atMs: number): number {
  const kept = noted.findIndex((note) => note.atMs > atMs);
  const old = noted.splice(0, kept === -1 ? noted.length : kept);
  return old.at(-1)?.revision ?? 0;
}

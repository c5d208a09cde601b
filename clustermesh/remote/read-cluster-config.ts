import type { Clock } from '../../runtime/clock/index.ts';
import { linear, retry } from '../../runtime/retry/index.ts';
import { linkedController } from '../../runtime/tasks/index.ts';
import type { Store } from '../../kvstore/index.ts';
import { type ClusterConfigRecord, clusterConfigKey, decodeClusterConfig } from '../wire/index.ts';
import { ClusterConfigMissingError } from './errors.ts';

export interface ReadClusterConfigOptions {
  readonly cluster: string;
  readonly clock: Clock;
  /** Called with each failed try. */
  readonly onFailure: (error: unknown) => void;
}

/** What was read, and since when the key has been there. */
export interface FoundClusterConfig {
  readonly config: ClusterConfigRecord;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly leased: boolean;
}

const totalMs = 180_000;
const tryMs = 60_000;

/**
 * Reads what a cluster says of itself: the one key that a remote reader may read. Tries again with growing pauses, for
 * three minutes in all. @throws the last failure, or the signal's reason.
 */
export async function findClusterConfig(
  store: Pick<Store, 'get'>,
  options: ReadClusterConfigOptions,
  signal: AbortSignal,
): Promise<FoundClusterConfig> {
  const { cluster, clock, onFailure } = options;
  const key = clusterConfigKey(cluster);
  const deadline = clock.monotonicMs() + totalMs;
  return await retry(
    async () => {
      using limit = linkedController(signal);
      using _timer = clock.timer(tryMs, () =>
        limit.abort(new DOMException('No answer within a minute', 'TimeoutError')),
      );
      const entry = await store.get(key, { signal: limit.signal });
      if (!entry) throw new ClusterConfigMissingError(cluster);
      const { value, createRevision, lease } = entry;
      return {
        config: decodeClusterConfig(key, value),
        value: new Uint8Array(value),
        createRevision,
        leased: lease !== 0n,
      };
    },
    {
      clock,
      signal,
      schedule: linear({ stepMs: 1000, maxMs: 30_000 }),
      retryable: () => clock.monotonicMs() < deadline,
      onFailure,
    },
  );
}

import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { retry } from '../../runtime/retry/index.ts';
import { type Bytes, type Store, toBytes } from '../../kvstore/index.ts';
import { clusterConfigKey, ownPrefix, syncedPrefix, watchPrefix } from '../wire/index.ts';
import type { CacheWriter } from './cache-writer.ts';
import { cachedResources } from './cached-config.ts';
import { LeadershipLostError } from './errors.ts';

/** A cluster whose removal has begun has a key here until it has ended: whoever leads then goes on with it. */
export const drainsPrefix = `${ownPrefix}drains/`;

export interface DrainDeps {
  readonly local: Pick<Store, 'list'>;
  readonly writer: CacheWriter;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called once agents have had the time to let go. From then on the removal is carried through. */
  readonly onRemoving?: () => void;
}

/** How long agents have to see that the cluster's configuration is gone, before its data goes (clustermesh-behaviour §6). */
export const letGoMs = 180_000;
const attempts = 6;

/**
 * Removes what the cache has of a cluster that has left: its configuration first, so that agents disconnect rather than see
 * record after record vanish; after a while canaries and data. The wait may be broken off by `signal`, when the cluster is
 * back: then nothing is lost but the configuration, which the next connection writes again.
 * @throws {LeadershipLostError} or the last failure, after five more attempts.
 */
export async function drainCluster(cluster: string, deps: DrainDeps, signal: AbortSignal): Promise<void> {
  const { writer, clock, log, onRemoving } = deps;
  const note = toBytes(drainsPrefix + cluster);
  let waited = false;
  let failed = 0;
  await retry(
    async () => {
      if (!waited) {
        await writer.atomically(
          [
            { key: toBytes(clusterConfigKey(cluster)), value: undefined },
            { key: note, value: new Uint8Array(0) },
          ],
          signal,
        );
        log.info('A remote cluster is no longer configured: its copies go, once agents have let go of it', {
          [fields.cluster]: cluster,
        });
        waited = true;
        await clock.sleep(letGoMs, signal);
        onRemoving?.();
      }
      const prefixes = [
        syncedPrefix(cluster),
        ...cachedResources.map((resource) => watchPrefix(resource, cluster, 'cache')),
      ];
      let count = 0;
      for (const prefix of prefixes) count += await removePrefix(prefix, deps, signal);
      await writer.atomically([{ key: note, value: undefined }], signal);
      log.info('The copies of a remote cluster are removed', { [fields.cluster]: cluster, [fields.count]: count });
    },
    {
      clock,
      signal,
      schedule: (failures) => 2000 * 2 ** (failures - 1),
      healthyAfterMs: Infinity,
      retryable: (error) => !(error instanceof LeadershipLostError) && ++failed < attempts,
      onFailure: (error, failures) =>
        log.warn('Removing the copies of a remote cluster failed and is repeated', {
          [fields.cluster]: cluster,
          [fields.error]: error,
          [fields.attempt]: failures,
        }),
    },
  );
}

/** The cluster is configured again: its removal is called off. */
export async function callOffDrain(cluster: string, writer: CacheWriter, signal: AbortSignal): Promise<void> {
  await writer.atomically([{ key: toBytes(drainsPrefix + cluster), value: undefined }], signal);
}

async function removePrefix(prefix: Bytes, { local, writer }: DrainDeps, signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const { entries } of local.list(prefix, { signal })) {
    await writer.write(
      entries.map(({ key }) => ({ key, value: undefined })),
      signal,
    );
    count += entries.length;
  }
  return count;
}

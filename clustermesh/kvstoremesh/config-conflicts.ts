import type { MaxConnectedClusters } from '../../values/identity/index.ts';
import { InvalidRecordError, checkClusterConfig } from '../wire/index.ts';
import type { MirroredCluster } from './mirrored-cluster.ts';

/** What agents have against a configuration. */
export interface ConfigConflict {
  readonly reason: string;
  /** As of errors, for hints. */
  readonly code: string;
}

/**
 * Clusters whose configuration agents do not take, each with what is wrong: an id that is not theirs alone (agents take the first that
 * they meet), or one of the rules of {@link checkClusterConfig}. They are copied all the same.
 */
export function configConflicts(
  clusters: readonly Pick<MirroredCluster, 'name' | 'config'>[],
  own: {
    readonly clusterName: string;
    readonly clusterId: number;
    readonly maxConnectedClusters?: MaxConnectedClusters;
  },
): ReadonlyMap<string, ConfigConflict> {
  const conflicts = new Map<string, ConfigConflict>();
  const holders = new Map([[own.clusterId, [own.clusterName]]]);
  for (const { name, config } of clusters) {
    if (!config) continue;
    try {
      checkClusterConfig(name, config, own);
    } catch (error) {
      if (!(error instanceof InvalidRecordError)) throw error;
      conflicts.set(name, { reason: error.message, code: error.code });
    }
    const names = holders.get(config.id);
    if (names) names.push(name);
    else holders.set(config.id, [name]);
  }
  for (const [id, names] of holders)
    if (names.length > 1)
      for (const name of names)
        conflicts.set(name, {
          reason: `clusterID ${id} is also that of cluster ${names.filter((other) => other !== name).join(' and ')}`,
          code: 'CLUSTERMESH_ID_CONFLICT',
        });
  return conflicts;
}

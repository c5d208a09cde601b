import type { MirroredCluster } from './mirrored-cluster.ts';

/**
 * Clusters that say they have an id which is not theirs alone, each with what is wrong. They are copied all the same; agents
 * take the first that they meet.
 */
export function idConflicts(
  clusters: readonly Pick<MirroredCluster, 'name' | 'config'>[],
  own: { readonly clusterName: string; readonly clusterId: number },
): ReadonlyMap<string, string> {
  const holders = new Map([[own.clusterId, [own.clusterName]]]);
  for (const { name, config } of clusters) {
    if (!config) continue;
    const names = holders.get(config.id);
    if (names) names.push(name);
    else holders.set(config.id, [name]);
  }
  const conflicts = new Map<string, string>();
  for (const [id, names] of holders)
    if (names.length > 1)
      for (const name of names)
        conflicts.set(
          name,
          `clusterID ${id} is also that of cluster ${names.filter((other) => other !== name).join(' and ')}`,
        );
  return conflicts;
}

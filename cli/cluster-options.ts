import { isClusterName } from '../clustermesh/index.ts';
import { defineOptions, UsageError } from '../runtime/options/index.ts';

/** Which cluster a process belongs to; names as in Cilium. */
export const clusterOptions = defineOptions({
  'cluster-name': { type: 'string', required: true, placeholder: 'NAME', help: 'Name of the own cluster' },
  'cluster-id': {
    type: 'number',
    required: true,
    min: 1,
    max: 511,
    help: 'Number of the own cluster, unique in the mesh; up to --max-connected-clusters',
  },
  'max-connected-clusters': {
    type: 'choice',
    choices: ['255', '511'],
    default: '255',
    help: 'Clusters the mesh may have; the same in every cluster',
  },
});

export interface OwnCluster {
  readonly clusterName: string;
  readonly clusterId: number;
  readonly maxConnectedClusters: 255 | 511;
}

/** What the options say of the own cluster. @throws {UsageError} for a name or number that no mesh accepts. */
export function ownCluster(values: {
  readonly clusterName: string;
  readonly clusterId: number;
  readonly maxConnectedClusters: '255' | '511';
}): OwnCluster {
  const max = values.maxConnectedClusters === '511' ? 511 : 255;
  if (values.clusterId > max)
    throw new UsageError(`--cluster-id ${values.clusterId} is beyond --max-connected-clusters ${max}`, {
      option: '--cluster-id',
    });
  if (!isClusterName(values.clusterName) || values.clusterName === 'default')
    throw new UsageError(`--cluster-name ${JSON.stringify(values.clusterName)} is no cluster name`, {
      option: '--cluster-name',
      hint: 'at most 32 lower-case letters, digits and hyphens, with a letter or digit at both ends; not "default"',
    });
  return { clusterName: values.clusterName, clusterId: values.clusterId, maxConnectedClusters: max };
}

import { parsePrefix } from '../../values/ip/index.ts';
import type { LabCluster, Topology } from './topology.ts';

/** More clusters than this do not fit the lab's default address plan, nor two cores. */
export const maxClusters = 16;

/** Address plan of the n-th cluster (from 0): underlay 172.30.n+1.0/24, pods 10.n+1.0.0/16, services 10.128+n.0.0/16. */
export function defaultCluster(name: string, id: number, index: number): LabCluster {
  return {
    name,
    id,
    nodes: ['node-1', 'node-2'],
    underlayCidr: parsePrefix(`172.30.${index + 1}.0/24`),
    podCidr: parsePrefix(`10.${index + 1}.0.0/16`),
    serviceCidr: parsePrefix(`10.${128 + index}.0.0/16`),
  };
}

/** Two clusters of two nodes; every workload gets the default spread and every Service with a selector is global. */
export function defaultTopology(): Topology {
  return {
    clusters: [defaultCluster('east', 1, 0), defaultCluster('west', 2, 1)],
    placements: new Map(),
    globalServices: 'all',
  };
}

export { defaultTopology } from './default-topology.ts';
export { parseTopology } from './parse-topology.ts';
export { type LabCluster, type Topology, TopologyError } from './topology.ts';

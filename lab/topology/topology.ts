import type { Prefix } from '../../values/ip/index.ts';

/** One cluster of a lab, with every address block it uses. */
export interface LabCluster {
  readonly name: string;
  /** Cluster id, 1–255. */
  readonly id: number;
  /** Names of its nodes, in order. */
  readonly nodes: readonly string[];
  /** Subnet of the nodes and of the apiserver, behind the router. */
  readonly underlayCidr: Prefix;
  /** Cut into one block a node. */
  readonly podCidr: Prefix;
  /** ClusterIPs come from here. */
  readonly serviceCidr: Prefix;
}

/** What runs where: which clusters there are, which workload has how many replicas in each, which Services are global. */
export interface Topology {
  readonly clusters: readonly LabCluster[];
  /** `<namespace>/<name>` of a workload → cluster → replicas. A workload that is not named gets the default spread. */
  readonly placements: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** `<namespace>/<name>` of global Services; `all` makes every Service with a selector global. */
  readonly globalServices: ReadonlySet<string> | 'all';
}

/** A topology that cannot be used: every problem with the field it is in. */
export class TopologyError extends Error {
  readonly problems: readonly string[];

  constructor(file: string, problems: readonly string[]) {
    super(problems.map((problem) => `${file}: ${problem}`).join('\n'));
    this.name = 'TopologyError';
    this.problems = problems;
  }
}

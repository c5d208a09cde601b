import type { LabCluster } from './topology.ts';

/** Stand beside the nodes of a cluster: its apiserver, and the router that all clusters share. */
const reservedNodes = ['apiserver', 'router'];
/** Stand beside the clusters in the lab's directory: control socket and bpffs. */
const reservedClusters = ['control', 'bpf'];

/** What is wrong with a name that the lab gives to something of its own; undefined when nothing is. */
export function reservedNode(name: string): string | undefined {
  return reserved(name, reservedNodes, 'a node');
}

export function reservedCluster(name: string): string | undefined {
  return reserved(name, reservedClusters, 'a cluster');
}

/** Namespaces, cgroups and pins are called `<cluster>-<node>`, which `a-b` + `c` and `a` + `b-c` would share. */
export function sharedNames(clusters: readonly LabCluster[]): string[] {
  const taken = new Map<string, string>();
  const problems: string[] = [];
  const members = clusters.flatMap((cluster, index) => [
    { cluster, member: 'apiserver', at: `clusters[${index}].name` },
    ...cluster.nodes.map((member, i) => ({ cluster, member, at: `clusters[${index}].nodes[${i}]` })),
  ]);
  for (const { cluster, member, at } of members) {
    const joined = `${cluster.name}-${member}`;
    const path = `${cluster.name}/${member}`;
    const other = taken.get(joined);
    // One path twice is two clusters of one name, which is told as that.
    if (other !== undefined && other !== path)
      problems.push(`${at}: expected names that differ when joined; ${path} and ${other} both give ${joined}`);
    taken.set(joined, other ?? path);
  }
  return problems;
}

function reserved(name: string, names: readonly string[], what: string): string | undefined {
  if (!names.includes(name)) return undefined;
  return `expected ${what} to be called other than ${names.join(' and ')}, which are parts of the lab; found ${JSON.stringify(name)}`;
}

import type { Pod, Workload } from '../../kubernetes/index.ts';
import { nthAddress, parsePrefix, type Prefix } from '../../values/ip/index.ts';
import type { LabCluster, Topology } from '../topology/index.ts';
import { nameSuffix, uidOf } from './names.ts';
import type { PlacedPod } from './placed-pod.ts';

/** Pod addresses of a node start here; the ones below are the node's own. */
const firstPodNumber = 10;

/** More pods or Services than there are addresses for, or two pods of one name. */
export class PlacementError extends Error {
  override readonly name = 'PlacementError';
}

/** Block of pod addresses of a cluster's n-th node. */
export function nodePodCidr(cluster: LabCluster, nodeIndex: number): Prefix {
  const length = Math.max(24, cluster.podCidr.length + 4);
  return parsePrefix(`${nthAddress(cluster.podCidr, nodeIndex * 2 ** (32 - length))}/${length}`);
}

/**
 * Places every pod of the workloads and every bare pod: replicas per cluster as the topology says (or the default
 * spread), then the node with the fewest pods. A pod of the host's network gets an address of its own like any other: the
 * servers of two would want one port of the node. Equal input gives an equal result.
 */
export function schedule(topology: Topology, workloads: readonly Workload[], pods: readonly Pod[]): PlacedPod[] {
  const placed: PlacedPod[] = [];
  const used = new Map<string, number>();
  const owners = new Map<string, string>();
  const place = (cluster: LabCluster, pod: Pod, owner: string, node?: string): void => {
    const path = `${cluster.name}/${objectPath(pod)}`;
    const other = owners.get(path);
    // A StatefulSet web and a bare pod web-0.
    if (other !== undefined)
      throw new PlacementError(`${path}: two pods of one name, of ${other} and of ${owner}; rename one of them`);
    owners.set(path, owner);
    const chosen = node ?? leastLoaded(cluster, used);
    const key = `${cluster.name}/${chosen}`;
    const number = used.get(key) ?? 0;
    const cidr = nodePodCidr(cluster, cluster.nodes.indexOf(chosen));
    const room = 2 ** (32 - cidr.length) - firstPodNumber - 1;
    if (number >= room)
      throw new PlacementError(
        `${objectPath(pod)}: node ${key} has addresses for ${room} pods only; ask for fewer replicas or more nodes`,
      );
    used.set(key, number + 1);
    const ip = nthAddress(cidr, firstPodNumber + number);
    placed.push({
      cluster: cluster.name,
      node: chosen,
      namespace: pod.metadata.namespace,
      name: pod.metadata.name,
      ip,
      pod: { ...pod, spec: { ...pod.spec, hostNetwork: false } },
    });
  };
  for (const [index, workload] of workloads.entries()) {
    const owner = `${workload.kind} ${objectPath(workload)}`;
    const spread = topology.placements.get(objectPath(workload)) ?? defaultSpread(workload, index, topology.clusters);
    for (const cluster of topology.clusters) {
      const replicas = spread.get(cluster.name) ?? 0;
      if (workload.kind === 'DaemonSet') {
        if (replicas > 0)
          for (const [i, node] of cluster.nodes.entries()) place(cluster, podOf(workload, cluster, i), owner, node);
      } else for (let i = 0; i < replicas; i++) place(cluster, podOf(workload, cluster, i), owner);
    }
  }
  for (const [index, pod] of pods.entries()) {
    const cluster = topology.clusters[index % topology.clusters.length];
    if (cluster)
      place(
        cluster,
        pod,
        `Pod ${objectPath(pod)}`,
        cluster.nodes.find((node) => node === pod.spec.nodeName),
      );
  }
  return placed;
}

/** `<namespace>/<name>`. */
export function objectPath(object: {
  readonly metadata: { readonly namespace: string; readonly name: string };
}): string {
  return `${object.metadata.namespace}/${object.metadata.name}`;
}

/** Several replicas are split evenly, single ones alternate between the clusters; a DaemonSet runs everywhere. */
function defaultSpread(workload: Workload, index: number, clusters: readonly LabCluster[]): Map<string, number> {
  if (workload.kind === 'DaemonSet') return new Map(clusters.map((cluster) => [cluster.name, 1]));
  const spread = new Map<string, number>();
  for (let i = 0; i < workload.spec.replicas; i++) {
    const cluster = clusters[(index + i) % clusters.length];
    if (cluster) spread.set(cluster.name, (spread.get(cluster.name) ?? 0) + 1);
  }
  return spread;
}

function leastLoaded(cluster: LabCluster, used: ReadonlyMap<string, number>): string {
  const load = (node: string): number => used.get(`${cluster.name}/${node}`) ?? 0;
  return cluster.nodes.reduce((best, node) => (load(node) < load(best) ? node : best));
}

function podOf(workload: Workload, cluster: LabCluster, index: number): Pod {
  const { name, namespace } = workload.metadata;
  const seed = `${cluster.name}/${namespace}/${workload.kind}/${name}`;
  const podName = workload.kind === 'StatefulSet' ? `${name}-${index}` : generatedName(workload, seed, index);
  const { template } = workload.spec;
  return {
    kind: 'Pod',
    metadata: {
      name: podName,
      namespace,
      uid: uidOf(`${seed}/${index}`),
      labels: template.labels,
      annotations: template.annotations,
    },
    spec: template.spec,
    status: { phase: 'Pending', podIPs: [], ready: false },
  };
}

function generatedName(workload: Workload, seed: string, index: number): string {
  const { name, namespace } = workload.metadata;
  const suffix = nameSuffix(`${seed}/${index}`, 5);
  return workload.kind === 'Deployment'
    ? `${name}-${nameSuffix(`${namespace}/${name}`, 6)}-${suffix}`
    : `${name}-${suffix}`;
}

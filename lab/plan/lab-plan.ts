import { readFile } from 'node:fs/promises';
import { type EndpointSlice, readManifests } from '../../kubernetes/index.ts';
import { reasonOf } from '../../runtime/files/index.ts';
import { type NetworkPlan, planNetwork } from '../network/index.ts';
import {
  LabScheduler,
  type PlacedPod,
  type PlacedService,
  ofKind,
  placeServices,
  schedule,
} from '../scheduler/index.ts';
import { type Topology, TopologyError, defaultTopology, parseTopology } from '../topology/index.ts';
import { manifestNotes, problemText } from './manifest-notes.ts';

export interface LabPlanInput {
  readonly name: string;
  /** Topology file; absent: two clusters with the default spread. */
  readonly topologyFile?: string;
  /** Manifest files or folders. */
  readonly manifests: readonly string[];
}

/** Everything that a lab will be, before anything of it exists. */
export interface LabPlan {
  readonly name: string;
  readonly topology: Topology;
  readonly network: NetworkPlan;
  readonly pods: readonly PlacedPod[];
  readonly services: readonly PlacedService[];
  /** As the manifests give them, for Services without selector. */
  readonly endpointSlices: readonly EndpointSlice[];
  /** By cluster name. */
  readonly schedulers: ReadonlyMap<string, LabScheduler>;
  /** Things that are odd but no reason to stop. */
  readonly warnings: readonly string[];
}

/** Manifests that cannot be used: each problem with file, document number and field. */
export class ManifestsError extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ManifestsError';
  }
}

async function readTopology(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new TopologyError(file, [`cannot be read: ${reasonOf(error)}`]);
  }
}

/** Reads topology and manifests and places everything. @throws {TopologyError} {@link ManifestsError} */
export async function planLab(input: LabPlanInput): Promise<LabPlan> {
  const { topologyFile } = input;
  const topology = topologyFile ? parseTopology(await readTopology(topologyFile), topologyFile) : defaultTopology();
  const manifests = await readManifests(input.manifests);
  if (manifests.errors.length > 0) throw new ManifestsError(manifests.errors.map(problemText));
  if (manifests.objects.length + manifests.workloads.length === 0)
    throw new ManifestsError([`${input.manifests.join(', ')}: no object that the lab can run was found`]);
  const namespaces = ofKind(manifests.objects, 'Namespace');
  const network = planNetwork(input.name, topology);
  const pods = schedule(topology, manifests.workloads, ofKind(manifests.objects, 'Pod')).toSorted(byCluster(topology));
  const { services, warnings } = placeServices(topology, ofKind(manifests.objects, 'Service'), pods, namespaces);
  const endpointSlices = ofKind(manifests.objects, 'EndpointSlice');
  const schedulers = network.sites.map((site) => {
    const scheduler = new LabScheduler({
      cluster: site.cluster,
      nodeAddresses: site.nodes.map((node) => node.address),
      namespaces,
      pods: pods.filter((pod) => pod.cluster === site.cluster.name),
      services: services.filter((placed) => placed.cluster === site.cluster.name).map((placed) => placed.service),
      endpointSlices,
    });
    return [site.cluster.name, scheduler] as const;
  });
  const notes = manifestNotes(
    manifests,
    topology,
    pods.map(({ pod }) => pod),
    topologyFile,
  );
  const unknown = [...topology.placements.keys()]
    .filter((name) => !manifests.workloads.some(({ metadata }) => `${metadata.namespace}/${metadata.name}` === name))
    .map((name) => `workloads: there is no workload ${name}`);
  return {
    name: input.name,
    topology,
    network,
    pods,
    services,
    endpointSlices,
    schedulers: new Map(schedulers),
    warnings: [...unknown, ...warnings, ...notes],
  };
}

/** Clusters in the topology's order; within one, workloads stay in the manifests' order. */
function byCluster(topology: Topology): (a: PlacedPod, b: PlacedPod) => number {
  const order = new Map(topology.clusters.map((cluster, index) => [cluster.name, index]));
  return (a, b) => (order.get(a.cluster) ?? 0) - (order.get(b.cluster) ?? 0);
}

import { createHash } from 'node:crypto';
import { nthAddress } from '../../values/ip/index.ts';
import type { PlacedPod } from '../scheduler/index.ts';
import type { LabCluster, Topology } from '../topology/index.ts';

/** Number of the router's address in each underlay subnet, of the apiserver, and of the first node. */
const routerNumber = 1;
const apiserverNumber = 10;
const firstNodeNumber = 11;

/** A namespace on a cluster's underlay: a node, or the place of the apiserver. */
export interface MemberPlan {
  readonly cluster: string;
  /** `apiserver`, or the node's name. */
  readonly name: string;
  readonly netns: string;
  readonly address: string;
  readonly mac: string;
  /** The router's end of its veth. */
  readonly port: string;
  readonly portMac: string;
}

export interface SitePlan {
  readonly cluster: LabCluster;
  readonly bridge: string;
  readonly bridgeMac: string;
  readonly gateway: string;
  readonly apiserver: MemberPlan;
  readonly nodes: readonly MemberPlan[];
}

/** The wires of a pod: its namespace and both ends of its veth. */
export interface PodWire {
  readonly netns: string;
  /** Device in the node's namespace. */
  readonly hostDevice: string;
  readonly hostMac: string;
  readonly mac: string;
}

/** Every namespace, device and address of a lab's network. All names follow from the lab's name and the topology. */
export interface NetworkPlan {
  readonly lab: string;
  readonly router: string;
  readonly sites: readonly SitePlan[];
}

/** Whether a lab can have this name; its length leaves the namespaces short names. */
export function isLabName(name: string): boolean {
  return /^[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?$/.test(name);
}

export function planNetwork(lab: string, topology: Topology): NetworkPlan {
  return {
    lab,
    router: `isth-${lab}-router`,
    sites: topology.clusters.map((cluster, index) => planSite(lab, cluster, index)),
  };
}

export function podWire(lab: string, pod: Pick<PlacedPod, 'cluster' | 'namespace' | 'name'>): PodWire {
  const seed = `${lab}/${pod.cluster}/${pod.namespace}/${pod.name}`;
  const hash = createHash('sha256').update(seed).digest('hex').slice(0, 10);
  return {
    netns: `isth-${lab}-pod-${hash}`,
    hostDevice: `lxc${hash}`,
    hostMac: macOf(`${seed}/host`),
    mac: macOf(seed),
  };
}

/** All members of a site, the apiserver first. */
export function membersOf(site: SitePlan): readonly MemberPlan[] {
  return [site.apiserver, ...site.nodes];
}

function planSite(lab: string, cluster: LabCluster, index: number): SitePlan {
  const member = (name: string, number: number, port: number): MemberPlan => {
    const seed = `${lab}/${cluster.name}/${name}`;
    return {
      cluster: cluster.name,
      name,
      netns: `isth-${lab}-${cluster.name}-${name}`,
      address: nthAddress(cluster.underlayCidr, number),
      mac: macOf(seed),
      port: `port${index}-${port}`,
      portMac: macOf(`${seed}/port`),
    };
  };
  return {
    cluster,
    bridge: `bridge${index}`,
    bridgeMac: macOf(`${lab}/${cluster.name}/bridge`),
    gateway: nthAddress(cluster.underlayCidr, routerNumber),
    apiserver: member('apiserver', apiserverNumber, 0),
    nodes: cluster.nodes.map((node, i) => member(node, firstNodeNumber + i, i + 1)),
  };
}

/** A locally administered unicast MAC that follows from the seed. */
function macOf(seed: string): string {
  const digest = createHash('sha256').update(seed).digest();
  return ['02', ...[0, 1, 2, 3, 4].map((i) => (digest[i] ?? 0).toString(16).padStart(2, '0'))].join(':');
}

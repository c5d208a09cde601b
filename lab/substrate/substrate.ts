import type { LoadRequest, LoadResult, ProbeResult, ProbeTarget } from '../pods/index.ts';
import type { PlacedPod } from '../scheduler/index.ts';

/** What has to be on record before it is made, so that it can be cleaned whatever happens. */
export interface SubstrateResources {
  readonly namespaces: readonly string[];
  readonly cgroups: readonly string[];
  readonly bpffs: readonly string[];
}

/** Where an apiserver listens, as its agents and the other clusters reach it. */
export interface StoreAddress {
  readonly host: string;
  readonly port: number;
}

/** The ground a lab stands on: real network namespaces, or only processes with an in-memory kernel. */
export interface LabSubstrate extends AsyncDisposable {
  /** True when packets are really sent. */
  readonly sendsPackets: boolean;
  /** True when devices of pods outlive the agent of their node. */
  readonly devicesStay: boolean;
  resources(): SubstrateResources;
  /** Makes the network of nodes and apiservers. */
  build(): Promise<void>;
  storeAddress(cluster: string): StoreAddress;
  /** Runs a synchronous function in a member's network namespace. */
  within(cluster: string, member: string): <T>(run: () => T) => T;
  /**
   * Where a process serves metrics and health: loopback of its own namespace, or any free port of the machine, which its
   * log names.
   */
  readonly metricsAddress: string;
  /** Options that tell an agent which kernel it drives. */
  agentArguments(cluster: string, node: string): readonly string[];
  /** Makes a pod's namespace and wires; says what the agent is told about them. */
  makePod(pod: PlacedPod): Promise<EndpointRequest>;
  removePod(pod: PlacedPod): Promise<void>;
  /** Starts or stops the servers of pods. */
  serve(pods: readonly PlacedPod[]): Promise<void>;
  silence(pod: PlacedPod): Promise<void>;
  probe(from: PlacedPod, targets: readonly ProbeTarget[], timeoutMs: number): Promise<readonly ProbeResult[]>;
  load(from: PlacedPod, load: Omit<LoadRequest, 'from'>): Promise<LoadResult>;
  /** Stops (or lets through) every packet between two sets of members, both ways. */
  cut(a: readonly string[], b: readonly string[]): Promise<void>;
  heal(a: readonly string[], b: readonly string[]): Promise<void>;
  /** Packets with pod addresses in their outer header that the router saw; the mesh is right when it is 0. */
  strayPackets(): Promise<number>;
}

/** Body of `PUT /v1/endpoints/<ns>/<pod>`. */
export interface EndpointRequest {
  readonly ips: readonly string[];
  readonly link: string;
  readonly mac: string;
  readonly nodeMac: string;
}

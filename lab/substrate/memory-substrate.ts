import { createServer } from 'node:net';
import type { LabPlan } from '../plan/index.ts';
import type { LoadResult, ProbeResult } from '../pods/index.ts';
import { type PlacedPod, podPath } from '../scheduler/index.ts';
import { LabArgumentError, podWire } from '../network/index.ts';
import type { EndpointRequest, LabSubstrate, StoreAddress, SubstrateResources } from './substrate.ts';

/** No namespaces and no packets: the same stores and agents as processes on loopback, each agent with an in-memory kernel. */
export class MemorySubstrate implements LabSubstrate {
  readonly sendsPackets = false;
  readonly devicesStay = false;
  /** All processes share the machine's loopback, and so may several labs. */
  readonly metricsAddress = '127.0.0.1:0';
  readonly #plan: LabPlan;
  readonly #ports = new Map<string, number>();

  constructor(plan: LabPlan) {
    this.#plan = plan;
  }

  resources(): SubstrateResources {
    return { namespaces: [], cgroups: [], bpffs: [] };
  }

  async build(): Promise<void> {
    for (const { name } of this.#plan.topology.clusters) this.#ports.set(name, await freePort());
  }

  storeAddress(cluster: string): StoreAddress {
    return { host: '127.0.0.1', port: this.#ports.get(cluster) ?? 0 };
  }

  within(): <T>(run: () => T) => T {
    return (run) => run();
  }

  agentArguments(cluster: string, node: string): readonly string[] {
    const site = this.#plan.network.sites.find((candidate) => candidate.cluster.name === cluster);
    const member = site?.nodes.find((candidate) => candidate.name === node);
    return ['--kernel', 'memory', '--node-ip', member?.address ?? '127.0.0.1'];
  }

  async makePod(pod: PlacedPod): Promise<EndpointRequest> {
    const wire = podWire(this.#plan.name, pod);
    return { ips: [pod.ip], link: wire.hostDevice, mac: wire.mac, nodeMac: wire.hostMac };
  }

  async removePod(): Promise<void> {
    // There is nothing to remove: the agent drops the device of its in-memory kernel.
  }

  async serve(): Promise<void> {
    // Nobody can reach a pod of an in-memory kernel.
  }

  async silence(): Promise<void> {
    // See serve.
  }

  async probe(from: PlacedPod): Promise<readonly ProbeResult[]> {
    throw new Error(`No packet is sent by an in-memory kernel (${podPath(from)})`);
  }

  async load(from: PlacedPod): Promise<LoadResult> {
    throw new Error(`No packet is sent by an in-memory kernel (${podPath(from)})`);
  }

  async cut(): Promise<void> {
    throw new LabArgumentError('Links can only be cut with a real kernel: the lab runs with --kernel memory');
  }

  async heal(): Promise<void> {
    throw new LabArgumentError('Links can only be healed with a real kernel: the lab runs with --kernel memory');
  }

  async strayPackets(): Promise<number> {
    return 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ports.clear();
  }
}

/** A port that nobody listens on right now. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject).listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type AddressPair, type RouterCounter, openRouterCounter } from '../../datapath/index.ts';
import { createCgroup, deleteNamespace, mountBpffs, openLinuxKernel, runInNamespace } from '../../kernel/index.ts';
import type { Logger } from '../../runtime/log/index.ts';
import {
  type LabNamespace,
  type MemberPlan,
  type SitePlan,
  buildBridge,
  connectMember,
  connectPod,
  makeNamespace,
  membersOf,
  plannedNamespaces,
  podWire,
} from '../network/index.ts';
import type { LabPlan } from '../plan/index.ts';
import {
  type HostedPod,
  type LoadRequest,
  KeptPodHost,
  type LoadResult,
  type ProbeResult,
  type ProbeTarget,
} from '../pods/index.ts';
import type { KeepRunning } from '../processes/index.ts';
import { type PlacedPod, podPath } from '../scheduler/index.ts';
import { type LabPaths, nodePaths } from '../state/index.ts';
import { portsOf } from './probe-ports.ts';
import type { EndpointRequest, LabSubstrate, StoreAddress, SubstrateResources } from './substrate.ts';

const storePort = 2379;
const podHostScript = fileURLToPath(
  new URL(`../pods/main${import.meta.url.endsWith('.js') ? '.js' : '.ts'}`, import.meta.url),
);

export interface LinuxSubstrateOptions {
  readonly plan: LabPlan;
  readonly paths: LabPaths;
  /** Where the lab makes its cgroups. */
  readonly cgroupRoot: string;
  readonly tcMode: 'auto' | 'tcx' | 'clsact';
  readonly log: Logger;
  /** Runs the processes that serve the pods of the nodes. */
  readonly keepRunning: KeepRunning;
}

/** Network namespaces, veths, cgroups and a bpffs: the lab on a real kernel. */
export class LinuxSubstrate implements LabSubstrate {
  readonly sendsPackets = true;
  readonly devicesStay = true;
  /** Cilium's port; every agent and apiserver has a namespace of its own. */
  readonly metricsAddress = '127.0.0.1:9962';
  readonly #options: LinuxSubstrateOptions;
  readonly #namespaces = new Map<string, LabNamespace>();
  readonly #podHosts = new Map<string, KeptPodHost>();
  #router: RouterCounter | undefined;

  constructor(options: LinuxSubstrateOptions) {
    this.#options = options;
  }

  resources(): SubstrateResources {
    const { plan, paths, cgroupRoot } = this.#options;
    const base = `${cgroupRoot}/isthmus-${plan.name}`;
    return {
      namespaces: [...plannedNamespaces(plan.network), ...plan.pods.map((pod) => podWire(plan.name, pod).netns)],
      cgroups: [
        ...this.#sites().flatMap((site) => site.nodes.map((node) => this.cgroupOf(site.cluster.name, node.name))),
        base,
      ],
      bpffs: [paths.bpffs],
    };
  }

  cgroupOf(cluster: string, node: string): string {
    return `${this.#options.cgroupRoot}/isthmus-${this.#options.plan.name}/${cluster}-${node}`;
  }

  async build(): Promise<void> {
    const { plan, paths } = this.#options;
    await mkdir(paths.bpffs, { recursive: true, mode: 0o700 });
    mountBpffs(paths.bpffs);
    const router = await this.#make(plan.network.router, true);
    for (const site of this.#sites()) {
      await buildBridge(router, site);
      for (const member of membersOf(site)) {
        await connectMember(router, await this.#make(member.netns, member !== site.apiserver), site, member);
      }
      for (const node of site.nodes) createCgroup(this.cgroupOf(site.cluster.name, node.name));
    }
    await this.#openRouter(router);
    this.#startPodHosts();
  }

  storeAddress(cluster: string): StoreAddress {
    return { host: this.#site(cluster).apiserver.address, port: storePort };
  }

  within(cluster: string, member: string): <T>(run: () => T) => T {
    const { handle } = this.#namespace(this.#member(cluster, member).netns);
    return (run) => runInNamespace(handle, run);
  }

  agentArguments(cluster: string, node: string): readonly string[] {
    const { paths, tcMode } = this.#options;
    const { address } = this.#member(cluster, node);
    const { pinDirectory } = nodePaths(paths, cluster, node);
    return [
      '--kernel',
      'linux',
      '--tc-mode',
      tcMode,
      '--node-ip',
      address,
      '--bpf-dir',
      pinDirectory,
      '--cgroup',
      this.cgroupOf(cluster, node),
    ];
  }

  async makePod(pod: PlacedPod): Promise<EndpointRequest> {
    const wire = podWire(this.#options.plan.name, pod);
    const namespace = await this.#make(wire.netns, false);
    await connectPod(this.#namespace(this.#member(pod.cluster, pod.node).netns), namespace, pod, wire);
    return { ips: [pod.ip], link: wire.hostDevice, mac: wire.mac, nodeMac: wire.hostMac };
  }

  async removePod(pod: PlacedPod): Promise<void> {
    const wire = podWire(this.#options.plan.name, pod);
    await this.#namespace(this.#member(pod.cluster, pod.node).netns).kernel.network.deleteLink(wire.hostDevice);
    await this.#namespaces.get(wire.netns)?.[Symbol.asyncDispose]();
    this.#namespaces.delete(wire.netns);
    deleteNamespace(wire.netns);
  }

  async serve(pods: readonly PlacedPod[]): Promise<void> {
    const perHost = Map.groupBy(pods, (pod) => `${pod.cluster}/${pod.node}`);
    await Promise.all(
      [...perHost.values()].map((group) => this.#hostOf(group[0]).start(group.map((pod) => this.#hosted(pod)))),
    );
  }

  async silence(pod: PlacedPod): Promise<void> {
    await this.#hostOf(pod).stop(podPath(pod));
  }

  async probe(from: PlacedPod, targets: readonly ProbeTarget[], timeoutMs: number): Promise<readonly ProbeResult[]> {
    return (await this.#hostOf(from).order({ op: 'probe', from: podPath(from), targets, timeoutMs })).results;
  }

  async load(from: PlacedPod, load: Omit<LoadRequest, 'from'>): Promise<LoadResult> {
    return (await this.#hostOf(from).order({ op: 'load', load: { ...load, from: podPath(from) } })).result;
  }

  async cut(a: readonly string[], b: readonly string[]): Promise<void> {
    await this.#router?.cut(pairs(a, b));
  }

  async heal(a: readonly string[], b: readonly string[]): Promise<void> {
    await this.#router?.heal(pairs(a, b));
  }

  async strayPackets(): Promise<number> {
    return this.#router?.counts().find((counter) => counter.name === 'pod address')?.packets ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of this.#podHosts.values()) host[Symbol.dispose]();
    await this.#router?.[Symbol.asyncDispose]();
    await Promise.all([...this.#namespaces.values()].map((namespace) => namespace[Symbol.asyncDispose]()));
    this.#namespaces.clear();
  }

  async #make(name: string, forwarding: boolean): Promise<LabNamespace> {
    const namespace = await makeNamespace(name, forwarding);
    this.#namespaces.set(name, namespace);
    return namespace;
  }

  async #openRouter(router: LabNamespace): Promise<void> {
    const { plan, tcMode } = this.#options;
    const ports = this.#sites().flatMap((site) => membersOf(site).map((member) => member.port));
    const links = (await router.kernel.network.links())
      .filter((link) => ports.includes(link.name))
      .map((link) => link.index);
    const kernel = await openLinuxKernel({ netns: router.handle, tcMode: tcMode === 'auto' ? 'clsact' : tcMode });
    this.#router = await openRouterCounter({
      kernel,
      links,
      podCidrs: plan.topology.clusters.map((cluster) => cluster.podCidr),
    });
  }

  #startPodHosts(): void {
    const { paths, keepRunning, log } = this.#options;
    for (const site of this.#sites()) {
      for (const node of site.nodes) {
        const cluster = site.cluster.name;
        const host = new KeptPodHost(log);
        this.#podHosts.set(`${cluster}/${node.name}`, host);
        keepRunning(
          {
            role: `${cluster}/${node.name}/pods`,
            argv: [podHostScript, this.cgroupOf(cluster, node.name)],
            logFile: nodePaths(paths, cluster, node.name).podsLog,
            within: this.within(cluster, node.name),
            onOutput: host.onOutput,
          },
          host.attach,
        );
      }
    }
  }

  #hosted(pod: PlacedPod): HostedPod {
    const { cluster, node, namespace, name, ip } = pod;
    return {
      cluster,
      node,
      namespace,
      name,
      ip,
      netns: `/run/netns/${podWire(this.#options.plan.name, pod).netns}`,
      ports: portsOf(pod),
    };
  }

  #hostOf(pod: PlacedPod | undefined): KeptPodHost {
    const host = pod && this.#podHosts.get(`${pod.cluster}/${pod.node}`);
    if (!host) throw new RangeError(`No pod host for ${pod ? podPath(pod) : 'nothing'}`);
    return host;
  }

  #sites(): readonly SitePlan[] {
    return this.#options.plan.network.sites;
  }

  #site(cluster: string): SitePlan {
    const site = this.#sites().find((candidate) => candidate.cluster.name === cluster);
    if (!site) throw new RangeError(`The lab has no cluster ${cluster}`);
    return site;
  }

  #member(cluster: string, name: string): MemberPlan {
    const member = membersOf(this.#site(cluster)).find((candidate) => candidate.name === name);
    if (!member) throw new RangeError(`Cluster ${cluster} has no member ${name}`);
    return member;
  }

  #namespace(name: string): LabNamespace {
    const namespace = this.#namespaces.get(name);
    if (!namespace) throw new RangeError(`Namespace ${name} was not made`);
    return namespace;
  }
}

function pairs(a: readonly string[], b: readonly string[]): AddressPair[] {
  return a.flatMap((from) => b.flatMap((to): AddressPair[] => (from === to ? [] : [[from, to]])));
}

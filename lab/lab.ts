import { mkdir } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { type SourceServer, serveSource } from '../kubernetes/index.ts';
import { systemClock } from '../runtime/clock/index.ts';
import { type Logger, fields } from '../runtime/log/index.ts';
import { callUnixApi } from '../runtime/serve/index.ts';
import { type AwaitOptions, untilAnswered, untilReady } from './await-processes.ts';
import { type LaunchContext, agentLaunch, apiserverLaunch, writePeer } from './launch.ts';
import { type CutLink, CutLinks, LabArgumentError, podWire } from './network/index.ts';
import type { LabPlan } from './plan/index.ts';
import { type KeepRunning, ProcessKeeper } from './processes/index.ts';
import { OneAtATime } from './one-at-a-time.ts';
import { type PlacedPod, podPath } from './scheduler/index.ts';
import {
  type LabPaths,
  type LabState,
  apiserverPaths,
  labPaths,
  nodePaths,
  processId,
  writeLabState,
  writeLabStateSync,
} from './state/index.ts';
import { ClusterStores, type LabStoreKind, type StoreSwitch, startStoreServer, switchStore } from './stores/index.ts';
import { type LabSubstrate, probePortOf } from './substrate/index.ts';
import type { LabCluster } from './topology/index.ts';

/** A pod that is stopped still answers for this long, while the mesh learns of it (Kubernetes: preStop), and then until it is not asked any more. */
const terminationGraceMs = 1000;
const pollMs = 40;

export interface LabOptions {
  readonly plan: LabPlan;
  readonly kernel: 'linux' | 'memory';
  readonly substrate: LabSubstrate;
  /** Where every cluster keeps its records at first. */
  readonly store: LabStoreKind;
  readonly log: Logger;
  /** One line for each step, for people who wait. */
  readonly onProgress: (line: string) => void;
  /** Throws when the process at the other end of a control socket may not ask. */
  readonly checkPeer?: (socket: Socket) => void;
  /** Handed to every child. */
  readonly logLevel: string;
}

/** A lab: the stores, the agents and the pods of a whole mesh on this machine, and what one can do to them. */
export class Lab implements AsyncDisposable {
  readonly plan: LabPlan;
  readonly paths: LabPaths;
  readonly substrate: LabSubstrate;
  readonly startedAtMs = performance.now();
  readonly #options: LabOptions;
  readonly #processes: ProcessKeeper;
  readonly #sources: SourceServer[] = [];
  readonly #links: CutLinks;
  readonly #stores: ClusterStores;
  /** Of one pod, one after the other: whoever starts a pod that is about to stop finds it running in the end. */
  readonly #podChanges = new OneAtATime<PlacedPod>();
  /** A cluster that is moving to another store. */
  readonly #moving = new Set<string>();
  #state: LabState;
  upMs = -1;
  /** Null until there was such an answer: forever where no packet is sent. */
  firstCrossClusterMs: number | null = null;

  constructor(options: LabOptions) {
    this.plan = options.plan;
    this.paths = labPaths(options.plan.name);
    this.substrate = options.substrate;
    this.#options = options;
    this.#links = new CutLinks(options.plan.network.sites);
    this.#stores = new ClusterStores(options.store, this.paths, options.substrate);
    this.#state = this.#plannedState();
    this.#processes = new ProcessKeeper({ clock: systemClock, log: options.log, onChange: () => this.#record() });
  }

  /** Running processes by role, and how often each was started again. */
  children(): ReturnType<ProcessKeeper['list']> {
    return this.#processes.list();
  }

  /** Runs a process of the substrate like one of the lab's own. */
  readonly keepRunning: KeepRunning = (options, onStart) => this.#processes.keepRunning(options, onStart);

  /** Brings everything up and settles when every agent is ready. @throws {Error} naming what did not become ready. */
  async up(signal: AbortSignal): Promise<void> {
    const { plan, substrate } = this;
    await writeLabState(this.#state);
    for (const note of plan.warnings) this.#progress(`note: ${note}`);
    this.#progress(`network: ${plan.network.sites.length} clusters, ${plan.pods.length} pods`);
    await substrate.build();
    await this.#startProcesses();
    await this.#startPods(signal);
    await this.#awaitReady(signal);
    await this.#awaitCrossCluster(signal);
    this.upMs = performance.now() - this.startedAtMs;
    this.#state = { ...this.#state, ready: true };
    this.#record();
    this.#progress(`mesh is up after ${(this.upMs / 1000).toFixed(1)} s`);
  }

  /** @throws {LabArgumentError} when the path names no pod, or several. */
  podAt(path: string): PlacedPod {
    const found = this.plan.pods.filter(
      (pod) => podPath(pod) === path || `${pod.namespace}/${pod.name}` === path || pod.name === path,
    );
    const [pod] = found;
    if (!pod) throw new LabArgumentError(`The lab has no pod ${JSON.stringify(path)}; isthmus lab status lists them`);
    if (found.length > 1)
      throw new LabArgumentError(`${path} names ${found.length} pods; say <cluster>/<namespace>/<pod>`);
    return pod;
  }

  /** Pods that are running, i.e. neither stopped nor about to be. */
  runningPods(): PlacedPod[] {
    return this.plan.pods.filter((pod) => this.stateOf(pod) === 'running');
  }

  stateOf(pod: PlacedPod): string {
    return this.plan.schedulers.get(pod.cluster)?.stateOf(pod.namespace, pod.name) ?? 'unknown';
  }

  /** Stops a pod as Kubernetes does: no new connections, a grace period in which it goes on answering, then it is gone. */
  stopPod(pod: PlacedPod): Promise<void> {
    return this.#podChanges.run(pod, () => this.#stopPod(pod));
  }

  startPod(pod: PlacedPod): Promise<void> {
    return this.#podChanges.run(pod, () => this.#startPod(pod));
  }

  async #stopPod(pod: PlacedPod): Promise<void> {
    if (this.stateOf(pod) !== 'running') return;
    this.#setState(pod, 'terminating');
    await systemClock.sleep(terminationGraceMs);
    await this.substrate.silence(pod);
    const route = `/v1/endpoints/${pod.namespace}/${pod.name}`;
    const remove = (): Promise<unknown> => callUnixApi(this.#agentSocket(pod), { method: 'DELETE', route });
    // An agent that is being started again answers in a moment; until then the pod would be half gone.
    await untilAnswered(remove, `the agent of ${pod.cluster}/${pod.node}`, this.#awaiting(undefined));
    await this.substrate.removePod(pod);
    this.#setState(pod, 'stopped');
  }

  async #startPod(pod: PlacedPod): Promise<void> {
    if (this.stateOf(pod) !== 'stopped') return;
    await this.#attachPod(pod);
    await this.substrate.serve([pod]);
    this.#setState(pod, 'running');
  }

  /** @throws {LabArgumentError} when a name means nothing here. */
  async cut(a: string, b: string): Promise<void> {
    await this.substrate.cut(...this.#addressesOf(a, b));
    this.#links.note(a, b, true);
  }

  async heal(a: string, b: string): Promise<void> {
    await this.substrate.heal(...this.#addressesOf(a, b));
    this.#links.note(a, b, false);
  }

  /** What is cut right now. */
  cutLinks(): readonly CutLink[] {
    return this.#links.list();
  }

  /** Ends every process. The rest of what the lab made is removed by `cleanLab`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes.stop();
    await this.substrate[Symbol.asyncDispose]();
    await Promise.all(this.#sources.map((source) => source[Symbol.asyncDispose]()));
  }

  /** Moves a running cluster to another store. @throws {LabArgumentError} for one that is no cluster, or moving already. */
  async switchStore(name: string, to: LabStoreKind, signal: AbortSignal): Promise<StoreSwitch> {
    const cluster = this.plan.topology.clusters.find((candidate) => candidate.name === name);
    if (!cluster) throw new LabArgumentError(`The lab has no cluster ${JSON.stringify(name)}`);
    if (this.#stores.kindOf(name) === to) throw new LabArgumentError(`The store of ${name} is ${to} already`);
    if (this.#moving.has(name)) throw new LabArgumentError(`${name} is moving to another store already`);
    this.#moving.add(name);
    try {
      const { paths, substrate } = this;
      const keeper = this.#processes;
      return await switchStore(
        name,
        to,
        {
          stores: this.#stores,
          paths,
          substrate,
          clock: systemClock,
          onProgress: this.#options.onProgress,
          keep: (options) => keeper.keepRunning(options),
          retire: (role) => keeper.retire(role),
          moveAgents: () => this.#moveAgents(cluster, signal),
          startApiserver: async () => {
            keeper.keepRunning(await apiserverLaunch(this.#launching, cluster));
            await untilReady(apiserverPaths(paths, name).apiSocket, this.#awaiting(signal));
          },
          tellPeers: () => this.#tellPeers(name),
        },
        signal,
      );
    } finally {
      this.#moving.delete(name);
    }
  }

  get #launching(): LaunchContext {
    const { plan, paths, substrate } = this;
    return { topology: plan.topology, paths, substrate, stores: this.#stores, logLevel: this.#options.logLevel };
  }

  /** One after another: each is ready again before the next one ends. */
  async #moveAgents(cluster: LabCluster, signal: AbortSignal): Promise<void> {
    for (const node of cluster.nodes) {
      await this.#processes.retire(`${cluster.name}/${node}/agent`);
      await this.#keepAgent(cluster, node);
      if (!this.substrate.devicesStay) await this.#attachAgain(cluster.name, node, signal);
      await untilReady(nodePaths(this.paths, cluster.name, node).apiSocket, this.#awaiting(signal));
    }
  }

  async #keepAgent(cluster: LabCluster, node: string): Promise<void> {
    let lives = 0;
    this.#processes.keepRunning(await agentLaunch(this.#launching, cluster, node), () => {
      if (lives++ === 0 || this.substrate.devicesStay) return;
      void this.#attachAgain(cluster.name, node).catch((error: unknown) =>
        this.#options.log.warn('Pods cannot be attached to an agent that was started again', {
          [fields.cluster]: cluster.name,
          [fields.node]: node,
          [fields.error]: error,
        }),
      );
    });
  }

  /** Attaches the pods of a node whose devices ended with its agent. */
  async #attachAgain(cluster: string, node: string, signal?: AbortSignal): Promise<void> {
    const pods = this.plan.pods.filter((pod) => pod.cluster === cluster && pod.node === node);
    const attach = async (pod: PlacedPod): Promise<void> => {
      if (this.stateOf(pod) === 'running') await this.#attachPod(pod, signal);
    };
    await Promise.all(pods.map((pod) => this.#podChanges.run(pod, () => attach(pod))));
  }

  async #tellPeers(peer: string): Promise<void> {
    for (const { name, nodes } of this.plan.topology.clusters)
      if (name !== peer) for (const node of nodes) await writePeer(this.#launching, name, node, peer);
  }

  async #startProcesses(): Promise<void> {
    const { plan, paths, substrate } = this;
    const { log, checkPeer } = this.#options;
    const context = this.#launching;
    const stores = this.#stores;
    for (const cluster of plan.topology.clusters) {
      const scheduler = plan.schedulers.get(cluster.name);
      const { directory, sourceSocket } = apiserverPaths(paths, cluster.name);
      await mkdir(directory, { recursive: true, mode: 0o700 });
      if (scheduler)
        this.#sources.push(await serveSource(scheduler, sourceSocket, { log, ...(checkPeer ? { checkPeer } : {}) }));
      const kind = stores.kindOf(cluster.name);
      const server =
        kind === 'embedded' ? undefined : await startStoreServer(cluster.name, kind, { stores, paths, substrate });
      if (server) this.#processes.keepRunning(server);
      this.#processes.keepRunning(await apiserverLaunch(context, cluster));
    }
    for (const cluster of plan.topology.clusters) {
      for (const node of cluster.nodes) await this.#keepAgent(cluster, node);
    }
    this.#progress('stores and agents are starting');
  }

  async #startPods(signal: AbortSignal): Promise<void> {
    await Promise.all(this.plan.pods.map((pod) => this.#attachPod(pod, signal)));
    await this.substrate.serve(this.plan.pods);
    this.#progress(`${this.plan.pods.length} pods are running`);
  }

  async #attachPod(pod: PlacedPod, signal?: AbortSignal): Promise<void> {
    const body = await this.substrate.makePod(pod);
    const socket = this.#agentSocket(pod);
    const put = (): Promise<unknown> =>
      callUnixApi(socket, { method: 'PUT', route: `/v1/endpoints/${pod.namespace}/${pod.name}`, body });
    await untilAnswered(put, `the agent of ${pod.cluster}/${pod.node}`, this.#awaiting(signal));
  }

  async #awaitReady(signal: AbortSignal): Promise<void> {
    const sockets = this.plan.topology.clusters.flatMap((cluster) => [
      apiserverPaths(this.paths, cluster.name).apiSocket,
      ...cluster.nodes.map((node) => nodePaths(this.paths, cluster.name, node).apiSocket),
    ]);
    await Promise.all(sockets.map((socket) => untilReady(socket, this.#awaiting(signal))));
  }

  #awaiting(signal: AbortSignal | undefined): AwaitOptions {
    return { clock: systemClock, failures: () => this.#processes.failures(), ...(signal ? { signal } : {}) };
  }

  /**
   * Notes when a pod of one cluster first got an answer from a pod of another. Not before the agents are ready: packets to an
   * address that a node does not know yet leave it as they are, and the router would rightly count them.
   */
  async #awaitCrossCluster(signal: AbortSignal): Promise<void> {
    const from = this.plan.pods[0];
    const to = this.plan.pods.find((pod) => pod.cluster !== from?.cluster);
    if (!from || !to || !this.substrate.sendsPackets) return;
    const target = { to: podPath(to), address: to.ip, port: probePortOf(to) };
    const deadline = performance.now() + 60_000;
    while (performance.now() < deadline) {
      const [result] = await this.substrate.probe(from, [target], 250);
      if (result && result.error === undefined) {
        this.firstCrossClusterMs = performance.now() - this.startedAtMs;
        this.#progress(`first answer across clusters after ${(this.firstCrossClusterMs / 1000).toFixed(1)} s`);
        return;
      }
      await systemClock.sleep(pollMs, signal);
    }
    throw new Error(`${podPath(from)} never got an answer from ${podPath(to)}`);
  }

  #setState(pod: PlacedPod, state: 'running' | 'terminating' | 'stopped'): void {
    this.plan.schedulers.get(pod.cluster)?.setState(pod.namespace, pod.name, state);
  }

  #agentSocket(pod: PlacedPod): string {
    return nodePaths(this.paths, pod.cluster, pod.node).apiSocket;
  }

  /** Underlay addresses at both ends of a link. */
  #addressesOf(a: string, b: string): readonly [readonly string[], readonly string[]] {
    const [from, to] = this.#links.ends(a, b);
    return [from.map(({ address }) => address), to.map(({ address }) => address)];
  }

  #plannedState(): LabState {
    const { plan, paths, substrate } = this;
    const resources = substrate.resources();
    return {
      version: 1,
      name: plan.name,
      kernel: this.#options.kernel,
      supervisor: processId(process.pid),
      startedAt: new Date().toISOString(),
      ready: false,
      clusters: plan.topology.clusters.map(({ name, id, nodes }) => ({ name, id, nodes })),
      children: [],
      ...resources,
      directories: [paths.directory],
      pods: plan.pods.map((pod) => ({
        path: podPath(pod),
        netns: podWire(plan.name, pod).netns,
        cgroup: resources.cgroups.find((path) => path.endsWith(`/${pod.cluster}-${pod.node}`)) ?? '',
        ip: pod.ip,
      })),
    };
  }

  #record(): void {
    const children = this.children()
      .filter(({ process }) => !process.ended)
      .map(({ process: { role, id } }) => ({ role, ...id }));
    this.#state = { ...this.#state, children };
    writeLabStateSync(this.#state);
  }

  #progress(line: string): void {
    this.#options.onProgress(line);
  }
}

import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type SourceServer, serveSource } from '../kubernetes/index.ts';
import { systemClock } from '../runtime/clock/index.ts';
import type { Logger } from '../runtime/log/index.ts';
import { callUnixApi } from '../runtime/serve/index.ts';
import { podWire } from './network/index.ts';
import type { LabPlan } from './plan/index.ts';
import { type LabProcess, startChild } from './processes/index.ts';
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
import { type LabSubstrate, probePortOf } from './substrate/index.ts';

const cliMain = fileURLToPath(
  new URL(`../cli/main${import.meta.url.endsWith('.js') ? '.js' : '.ts'}`, import.meta.url),
);

/** A pod that is stopped still answers for this long, while the mesh learns of it (Kubernetes: preStop and grace period). */
const terminationGraceMs = 1000;
/** A child that ended by itself is started again after this long. */
const restartDelayMs = 300;
const pollMs = 40;

export interface LabOptions {
  readonly plan: LabPlan;
  readonly kernel: 'linux' | 'memory';
  readonly substrate: LabSubstrate;
  readonly log: Logger;
  /** One line for each step, for people who wait. */
  readonly onProgress: (line: string) => void;
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
  readonly #children = new Map<string, LabProcess>();
  readonly #sources: SourceServer[] = [];
  readonly #restarts = new Map<string, number>();
  #state: LabState;
  #stopping = false;
  upMs = -1;
  firstCrossClusterMs = -1;

  constructor(options: LabOptions) {
    this.plan = options.plan;
    this.paths = labPaths(options.plan.name);
    this.substrate = options.substrate;
    this.#options = options;
    this.#state = this.#plannedState();
  }

  /** Running processes by role, and how often each was started again. */
  children(): readonly { readonly process: LabProcess; readonly restarts: number }[] {
    return [...this.#children.values()].map((process) => ({
      process,
      restarts: this.#restarts.get(process.role) ?? 0,
    }));
  }

  /** Takes a process of the substrate on record. */
  readonly adopt = (process: LabProcess): void => {
    this.#children.set(process.role, process);
    this.#record();
  };

  /** Brings everything up and settles when every agent is ready. @throws {Error} naming what did not become ready. */
  async up(signal: AbortSignal): Promise<void> {
    const { plan, substrate } = this;
    await writeLabState(this.#state);
    this.#progress(`network: ${plan.network.sites.length} clusters, ${plan.pods.length} pods`);
    await substrate.build();
    await this.#startApiservers();
    await this.#startAgents();
    await this.#startPods(signal);
    const firstAnswer = this.#awaitCrossCluster(signal);
    await this.#awaitReady(signal);
    await firstAnswer;
    this.upMs = performance.now() - this.startedAtMs;
    this.#state = { ...this.#state, ready: true };
    this.#record();
    this.#progress(`mesh is up after ${(this.upMs / 1000).toFixed(1)} s`);
  }

  podAt(path: string): PlacedPod {
    const found = this.plan.pods.filter(
      (pod) => podPath(pod) === path || `${pod.namespace}/${pod.name}` === path || pod.name === path,
    );
    const [pod] = found;
    if (!pod) throw new RangeError(`The lab has no pod ${path}`);
    if (found.length > 1) throw new RangeError(`${path} names ${found.length} pods; say <cluster>/<namespace>/<pod>`);
    return pod;
  }

  /** Pods that are running, i.e. neither stopped nor about to be. */
  runningPods(): PlacedPod[] {
    return this.plan.pods.filter((pod) => this.stateOf(pod) === 'running');
  }

  stateOf(pod: PlacedPod): string {
    return this.plan.schedulers.get(pod.cluster)?.stateOf(pod.namespace, pod.name) ?? 'unknown';
  }

  /** Stops a pod as Kubernetes does: no new connections, a grace period, then it is gone. */
  async stopPod(pod: PlacedPod): Promise<void> {
    if (this.stateOf(pod) !== 'running') return;
    this.#setState(pod, 'terminating');
    await systemClock.sleep(terminationGraceMs);
    await this.substrate.silence(pod);
    await callUnixApi(this.#agentSocket(pod), {
      method: 'DELETE',
      route: `/v1/endpoints/${pod.namespace}/${pod.name}`,
    });
    await this.substrate.removePod(pod);
    this.#setState(pod, 'stopped');
  }

  async startPod(pod: PlacedPod): Promise<void> {
    if (this.stateOf(pod) !== 'stopped') return;
    await this.#attachPod(pod);
    await this.substrate.serve([pod]);
    this.#setState(pod, 'running');
  }

  async cut(a: string, b: string): Promise<void> {
    await this.substrate.cut(this.#addressesOf(a), this.#addressesOf(b));
  }

  async heal(a: string, b: string): Promise<void> {
    await this.substrate.heal(this.#addressesOf(a), this.#addressesOf(b));
  }

  /** Ends every process. The rest of what the lab made is removed by `cleanLab`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#children.values()].map((child) => child.stop()));
    await this.substrate[Symbol.asyncDispose]();
    await Promise.all(this.#sources.map((source) => source[Symbol.asyncDispose]()));
  }

  async #startApiservers(): Promise<void> {
    for (const { cluster } of this.plan.network.sites) {
      const paths = apiserverPaths(this.paths, cluster.name);
      await mkdir(paths.dataDirectory, { recursive: true, mode: 0o700 });
      const scheduler = this.plan.schedulers.get(cluster.name);
      if (scheduler) this.#sources.push(await serveSource(scheduler, paths.sourceSocket));
      const { host, port } = this.substrate.storeAddress(cluster.name);
      const argv = [
        cliMain,
        'apiserver',
        '--cluster-name',
        cluster.name,
        '--cluster-id',
        String(cluster.id),
        '--data-dir',
        paths.dataDirectory,
      ];
      argv.push(
        '--listen',
        `${host}:${port}`,
        '--insecure',
        '--source',
        `stream:${paths.sourceSocket}`,
        '--api-socket',
        paths.apiSocket,
      );
      this.#keepRunning(
        `${cluster.name}/apiserver`,
        argv,
        paths.logFile,
        this.substrate.within(cluster.name, 'apiserver'),
      );
    }
  }

  async #startAgents(): Promise<void> {
    for (const { cluster } of this.plan.network.sites) {
      for (const node of cluster.nodes) {
        const paths = nodePaths(this.paths, cluster.name, node);
        await mkdir(paths.clustermeshDirectory, { recursive: true, mode: 0o700 });
        await writeFile(paths.storeConfig, this.#storeConfig(cluster.name), { mode: 0o600 });
        for (const other of this.plan.topology.clusters) {
          if (other !== cluster)
            await writeFile(`${paths.clustermeshDirectory}/${other.name}`, this.#storeConfig(other.name), {
              mode: 0o600,
            });
        }
        const argv = [
          cliMain,
          'agent',
          '--cluster-name',
          cluster.name,
          '--cluster-id',
          String(cluster.id),
          '--node-name',
          node,
        ];
        argv.push(
          '--store-config',
          paths.storeConfig,
          '--clustermesh-config',
          paths.clustermeshDirectory,
          '--state-dir',
          paths.stateDirectory,
        );
        argv.push('--api-socket', paths.apiSocket, ...this.substrate.agentArguments(cluster.name, node));
        this.#keepRunning(
          `${cluster.name}/${node}/agent`,
          argv,
          paths.agentLog,
          this.substrate.within(cluster.name, node),
        );
      }
    }
    this.#progress('stores and agents are starting');
  }

  /** Starts a child and starts it again whenever it ends by itself, as a node's service manager would. */
  #keepRunning(role: string, argv: readonly string[], logFile: string, within: <T>(run: () => T) => T): void {
    const child = startChild({ role, argv: [...argv, '--log-level', this.#options.logLevel], logFile, within });
    this.adopt(child);
    void child.exited.then(async ({ code, signal }) => {
      if (this.#stopping) return;
      const restarts = (this.#restarts.get(role) ?? 0) + 1;
      this.#restarts.set(role, restarts);
      this.#options.log.warn('A process of the lab ended and is started again', { role, code, signal, restarts });
      await systemClock.sleep(Math.min(5000, restartDelayMs * restarts));
      if (!this.#stopping) this.#keepRunning(role, argv, logFile, within);
    });
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
    await this.#untilAnswered(put, `the agent of ${pod.cluster}/${pod.node}`, signal);
  }

  /** Repeats a call while its process is still starting. */
  async #untilAnswered<T>(call: () => Promise<T>, whom: string, signal?: AbortSignal): Promise<T> {
    const deadline = performance.now() + 30_000;
    for (;;) {
      signal?.throwIfAborted();
      try {
        return await call();
      } catch (error) {
        const starting = error instanceof Error && error.name === 'ApiUnreachableError';
        if (!starting || performance.now() > deadline)
          throw new Error(`No answer from ${whom}: ${messageOf(error)}\n${this.#failedChildren()}`, { cause: error });
      }
      await systemClock.sleep(pollMs, signal);
    }
  }

  async #awaitReady(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + 60_000;
    const sockets = this.plan.network.sites.flatMap(({ cluster }) => [
      apiserverPaths(this.paths, cluster.name).apiSocket,
      ...cluster.nodes.map((node) => nodePaths(this.paths, cluster.name, node).apiSocket),
    ]);
    await Promise.all(
      sockets.map(async (socket) => {
        for (let waitingFor = 'its first answer'; ;) {
          const status = (await callUnixApi(socket, { route: '/v1/status' }).catch(() => undefined)) as
            | { ready?: boolean; waitingFor?: readonly string[] }
            | undefined;
          if (status?.ready === true) return;
          if (status?.waitingFor) waitingFor = status.waitingFor.join(', ');
          if (performance.now() > deadline)
            throw new Error(`${socket} did not become ready; it waits for ${waitingFor}\n${this.#failedChildren()}`);
          await systemClock.sleep(pollMs, signal);
        }
      }),
    );
  }

  /** Notes when a pod of one cluster first got an answer from a pod of another. */
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

  #storeConfig(cluster: string): string {
    const { host, port } = this.substrate.storeAddress(cluster);
    return `endpoints:\n- http://${host}:${port}\n`;
  }

  /** Underlay addresses behind `east`, `east/node-1` or `east/apiserver`. */
  #addressesOf(name: string): string[] {
    const [cluster, member] = name.split('/');
    const site = this.plan.network.sites.find((candidate) => candidate.cluster.name === cluster);
    const members = site
      ? [site.apiserver, ...site.nodes].filter((candidate) => member === undefined || candidate.name === member)
      : [];
    if (members.length === 0)
      throw new RangeError(`The lab has no cluster or member ${name}; say east, east/node-1 or east/apiserver`);
    return members.map((candidate) => candidate.address);
  }

  #failedChildren(): string {
    const failed = [...this.#children.values()].filter(
      (child) => child.ended || (this.#restarts.get(child.role) ?? 0) > 0,
    );
    return failed.map((child) => `${child.role} ended:\n${child.logTail()}`).join('\n');
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
    const children = [...this.#children.values()]
      .filter((child) => !child.ended)
      .map(({ role, id }) => ({ role, ...id }));
    this.#state = { ...this.#state, children };
    writeLabStateSync(this.#state);
  }

  #progress(line: string): void {
    this.#options.onProgress(line);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { join } from 'node:path';
import { type Logger, fields } from '../runtime/log/index.ts';
import { type ApiRoutes, serveUnixApi } from '../runtime/serve/index.ts';
import { Condition, TaskGroup, isAbort } from '../runtime/tasks/index.ts';
import {
  CopyReports,
  OwnSpace,
  RememberedClusters,
  RemoteClusters,
  encodeIdentity,
  nodeKey,
  watchPeers,
} from '../clustermesh/index.ts';
import type { Datapath } from '../datapath/index.ts';
import { type SyncStore, storeMetrics } from '../kvstore/index.ts';
import type { OverlayDevice } from '../tunnel/index.ts';
import type { AgentDeps, AgentOptions, RunningAgent } from './agent-options.ts';
import { type AgentStatus, agentRoutes } from './api/index.ts';
import { EndpointFile, EndpointManager } from './endpoints/index.ts';
import { Knowledge } from './knowledge.ts';
import { LocalCluster, localFeeds } from './local/index.ts';
import { ReconcileLoop, RouteReconciler } from './reconcile/index.ts';
import {
  HeldNumbers,
  type OwnNodeFacts,
  Registration,
  RememberedNumbers,
  followIdentityQuestion,
} from './registration/index.ts';
import { Startup } from './startup.ts';
import { makeTables } from './tables.ts';

/** More of them say nothing new. */
const namedRefusals = 10;
const defaults = { syncTimeoutMs: 60_000, auditMs: 300_000 } as const;

/** What an agent is made of before it is wired. */
export interface AgentParts {
  readonly own: OwnNodeFacts;
  readonly device: OverlayDevice;
  readonly datapath: Datapath;
  readonly keys: SyncStore;
  readonly log: Logger;
}

/** The parts of a running agent, wired. Nothing starts before `run`. */
export class Agent implements RunningAgent {
  readonly #options: AgentOptions;
  readonly #deps: AgentDeps;
  readonly #parts: AgentParts;
  readonly #knowledge: Knowledge;
  readonly #ownSpace = new OwnSpace();
  readonly #changed = new Condition();
  readonly #local: LocalCluster;
  readonly #copies: CopyReports;
  readonly #remotes: RemoteClusters;
  readonly #registration: Registration;
  #peersUnread: { readonly object: string; readonly reason: string } | undefined;
  readonly #held: HeldNumbers;
  readonly #remembered: RememberedNumbers;
  readonly #manager: EndpointManager;
  readonly #tables: ReturnType<typeof makeTables>;
  readonly #routes: RouteReconciler;
  readonly #loop: ReconcileLoop;
  readonly #startedMs: number;
  #fresh = true;
  #startup: Startup | undefined;

  constructor(options: AgentOptions, deps: AgentDeps, parts: AgentParts) {
    const { own, datapath, device, keys, log } = parts;
    const { clock, kernel } = deps;
    this.#options = options;
    this.#deps = deps;
    this.#parts = parts;
    this.#startedMs = clock.monotonicMs();
    this.#knowledge = new Knowledge(own);
    const { endpoints, view, services } = this.#knowledge;
    this.#ownSpace.set('configured', { blocks: [], networks: options.clusterCidrs ?? [] });
    this.#registration = new Registration(own, { keys, endpoints, clock, log });
    this.#held = new HeldNumbers(own, {
      keys,
      endpoints,
      textOf: (id) => {
        const record = view.identity(id);
        return record && encodeIdentity(record);
      },
      stateDirectory: options.stateDirectory,
      maxConnectedClusters: options.maxConnectedClusters,
      clock,
      log,
    });
    this.#remembered = new RememberedNumbers({ store: deps.store, clock, log });
    this.#local = this.#followLocal();
    this.#copies = new CopyReports({ store: deps.store, clock, log, onChange: () => this.#notify() });
    this.#remotes = new RemoteClusters(
      {
        own,
        ...(options.maxConnectedClusters === undefined ? {} : { maxConnectedClusters: options.maxConnectedClusters }),
        ...(options.serviceMode === undefined ? {} : { serviceMode: options.serviceMode }),
        ...(options.lostLeaseGraceMs === undefined ? {} : { lostLeaseGraceMs: options.lostLeaseGraceMs }),
      },
      {
        openStore: deps.openRemoteStore,
        ...(deps.remoteCertificate ? { certificateOf: deps.remoteCertificate } : {}),
        ownSpace: this.#ownSpace,
        copies: this.#copies,
        remembered: new RememberedClusters({ directory: join(options.stateDirectory, 'remote-clusters'), clock, log }),
        view,
        services,
        clock,
        log,
        onChange: () => this.#notify(),
        onSilence: () => storeMetrics(deps.metrics).quorumError('no event received'),
      },
    );
    this.#tables = makeTables({
      knowledge: this.#knowledge,
      datapath,
      clock,
      log,
      held: (service) => this.#serviceHeld(service),
    });
    this.#routes = new RouteReconciler({
      network: kernel.network,
      desired: (destination) => this.#knowledge.route(destination, device),
      destinations: () => this.#knowledge.routeDestinations(),
      clock,
      log,
    });
    this.#loop = new ReconcileLoop({
      tables: [this.#tables.endpoints, this.#tables.ipcache, this.#tables.services],
      whole: [this.#routes],
      collect: () => {
        if (this.#startup?.acting) this.#knowledge.collect({ ...this.#tables, routes: this.#routes });
      },
      auditMs: options.auditMs ?? defaults.auditMs,
      clock,
      log,
    });
    this.#manager = new EndpointManager({
      table: endpoints,
      file: new EndpointFile(options.stateDirectory, own.bootId),
      network: kernel.network,
      datapath,
      workload: (key) => this.#knowledge.workloads.get(key),
      programmed: () => this.#loop.settled(),
      log,
    });
  }

  /** Takes over the endpoints of an earlier life and makes sure that the datapath knows them, and no others. */
  async restore(): Promise<void> {
    const { clock } = this.#deps;
    const { log } = this.#parts;
    const { fresh, restored } = await this.#manager.restore();
    if (restored > 0) log.info('Took over the endpoints of an earlier life', { [fields.count]: restored });
    await this.#held.restore();
    await this.#tables.endpoints.audit({ prune: true });
    this.#fresh = fresh;
    this.#startup = new Startup(fresh, {
      loop: this.#loop,
      changed: this.#changed,
      localListed: () => this.#local.listed(),
      known: () => this.#remotes.known && this.#local.waitingFor().length === 0,
      waitingFor: () => this.#waitingFor(),
      clock,
      log,
      syncTimeoutMs: this.#options.syncTimeoutMs ?? defaults.syncTimeoutMs,
    });
    // Only from now on: what was restored is in the table of the datapath, and in the ipcache since before.
    this.#knowledge.endpoints.onChange((after, before) => {
      for (const address of [...(before?.ips ?? []), ...(after?.ips ?? [])]) {
        this.#tables.endpoints.mark(address);
        this.#tables.ipcache.mark(`${address}/${address.includes(':') ? 128 : 32}`);
      }
      this.#loop.wake();
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    const { view, services } = this.#knowledge;
    const { clustermeshConfigDirectory: directory, clusterName, rescanMs } = this.#options;
    const { clock } = this.#deps;
    const { log } = this.#parts;
    await using tasks = new TaskGroup(signal);
    tasks.run((running) => this.#loop.run(running));
    tasks.run((running) =>
      wakeOnChange(
        view,
        () => {
          this.#held.learnt();
          this.#loop.wake();
        },
        running,
      ),
    );
    tasks.run((running) => wakeOnChange(services, () => this.#loop.wake(), running));
    tasks.run((running) => this.#parts.keys.run(running));
    tasks.run((running) => this.#local.run(running));
    tasks.run((running) => this.#copies.run(running));
    tasks.run((running) => {
      const events =
        directory === undefined
          ? noPeers()
          : watchPeers(
              {
                directory,
                ownCluster: clusterName,
                clock,
                log,
                onLook: (failure) =>
                  (this.#peersUnread =
                    failure === undefined ? undefined : { object: `directory ${directory}`, reason: failure }),
                ...(rescanMs === undefined ? {} : { rescanMs }),
              },
              running,
            );
      return this.#remotes.run(events, running);
    });
    tasks.run((running) => this.#register(running));
    tasks.run((running) => {
      const asked = async (question: string, asking: AbortSignal): Promise<void> =>
        this.#held.asked(question, await this.#remembered.toTell(asking));
      return followIdentityQuestion({ store: this.#deps.store, clock, log, asked }, running);
    });
    tasks.run((running) => this.#startup?.run(running) ?? Promise.resolve());
    await tasks.wait();
  }

  routes(): ApiRoutes {
    return agentRoutes({
      knowledge: this.#knowledge,
      manager: this.#manager,
      registration: { leave: (signal) => this.#leave(signal) },
      datapath: this.#parts.datapath,
      kernel: this.#deps.kernel,
      status: () => this.status(),
    });
  }

  async serveApi(path: string): Promise<AsyncDisposable> {
    const { checkPeer, apiRoutes = (own: ApiRoutes) => own } = this.#deps;
    return await serveUnixApi({
      path,
      routes: apiRoutes(this.routes()),
      log: this.#parts.log,
      ...(checkPeer ? { checkPeer } : {}),
    });
  }

  /**
   * What `/readyz` says: the first full pass is done, and the own store is followed. An agent without its store harms nobody,
   * so liveness does not follow; but no change reaches its node, and a roll-out must not go on to the next one.
   */
  readiness(): { readonly ready: boolean; readonly waitingFor: readonly string[] } {
    if (this.#startup?.ready !== true) return { ready: false, waitingFor: this.#waitingFor() };
    const lost = this.#lostStore();
    return { ready: lost.length === 0, waitingFor: lost };
  }

  status(): AgentStatus {
    const { own, keys, datapath } = this.#parts;
    const { view, services, endpoints } = this.#knowledge;
    const clusters = this.#remotes.statuses();
    const remote = (member: 'num-nodes' | 'num-endpoints' | 'num-identities'): number =>
      clusters.reduce((sum, cluster) => sum + cluster[member], 0);
    const { rss, heapUsed } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    return {
      cluster: own.cluster,
      clusterId: own.clusterId,
      node: own.name,
      nodeIp: own.ip,
      pid: process.pid,
      uptimeSeconds: Math.floor((this.#deps.clock.monotonicMs() - this.#startedMs) / 1000),
      ready: this.readiness().ready,
      waitingFor: [...this.#lostStore(), ...this.#waitingFor()],
      store: this.#deps.store.health(),
      counts: {
        nodes: Math.max(0, view.counts.nodes - remote('num-nodes')),
        endpoints: Math.max(0, view.counts.ips - remote('num-endpoints')),
        identities: Math.max(0, view.counts.identities - remote('num-identities')),
        services: [...services.keys()].length,
        localEndpoints: endpoints.size,
      },
      refused: this.#local.refused,
      ...(this.#peersUnread ? { unread: [this.#peersUnread] } : {}),
      clusters,
      tables: Object.values(this.#tables).map((table) => table.status()),
      routes: this.#routes.count,
      socketLevel: datapath.socketLevel,
      registration: {
        keys: keys.size,
        queued: keys.queued,
        ...(keys.failure === undefined ? {} : { unwritten: keys.failure }),
        refused: [...keys.refusals].slice(0, namedRefusals).map(([key, reason]) => ({ key, reason })),
      },
      process: { residentBytes: rss, heapBytes: heapUsed, cpuSeconds: (user + system) / 1e6 },
    };
  }

  /**
   * A service that is only known in part must not replace what an earlier life wrote when it knew all of it. The time for
   * reading other clusters may be over, but not for one whose part nobody remembers.
   */
  #serviceHeld(key: string): boolean {
    if (!this.#local.listed('services', 'endpoints')) return true;
    const inPart = this.#startup?.globalServices !== true || (!this.#fresh && this.#remotes.lost);
    return inPart && this.#knowledge.isGlobal(key);
  }

  #followLocal(): LocalCluster {
    const { own, log } = this.#parts;
    const { view, services, workloads } = this.#knowledge;
    const { maxConnectedClusters } = this.#options;
    // Which identities are ours depends on how many clusters the mesh may have.
    const origin = maxConnectedClusters === undefined ? own : { ...own, maxConnectedClusters };
    const feeds = localFeeds(origin, own.name, {
      mesh: view.writer(own),
      hidden: view.writer({ ...own, layer: 'hidden' }),
      services: services.local(),
      ownSpace: this.#ownSpace,
      numbers: this.#remembered,
      assignment: (record) => {
        this.#knowledge.assignment = record;
        // Before the first listing is complete nothing is published: a restart must not take the pod CIDRs away.
        if (this.#local.listed('assignment')) this.#registration.assigned(record);
      },
      workload: (key, record) => {
        if (record) workloads.set(key, record);
        else workloads.delete(key);
        this.#manager.workloadChanged(key).catch((error: unknown) => {
          log.error('An endpoint could not follow its workload', { [fields.key]: key, [fields.error]: error });
        });
      },
    });
    return new LocalCluster(own.cluster, feeds, {
      store: this.#deps.store,
      clock: this.#deps.clock,
      log,
      onChange: () => this.#notify(),
      onReplaced: () => {
        log.warn('The own store is another one, or an older one: everything this node says in it is looked at again');
        this.#parts.keys.reassert();
      },
    });
  }

  async #leave(signal: AbortSignal): Promise<void> {
    this.#held.leave();
    await this.#registration.leave(signal);
  }

  async #register(signal: AbortSignal): Promise<void> {
    await this.#changed.until(() => this.#local.listed('assignment', 'workloads'), signal);
    this.#registration.assigned(this.#knowledge.assignment);
    try {
      await this.#registration.complete(signal);
    } catch (error) {
      if (isAbort(error, signal)) throw error;
      this.#parts.log.error('Keys of an earlier life could not be looked at', { [fields.error]: error });
    }
  }

  /** The own store while it cannot be reached or read; before the first full pass its listings are waited for instead. */
  #lostStore(): string[] {
    if (this.#startup?.ready !== true) return [];
    const { connected, endpoint } = this.#deps.store.health();
    const { interruption } = this.#local;
    if (!connected) return [`connection to own store ${endpoint}`];
    if (interruption !== undefined) return [`own store ${endpoint}, which is not followed: ${interruption}`];
    const { own, keys } = this.#parts;
    // Whom the store does not take is not there for other nodes, or will not be when its lease has ended.
    const refusal = keys.refusals.get(nodeKey(own.cluster, own.name));
    return refusal === undefined ? [] : [`registration of node ${own.name}, which the own store refuses: ${refusal}`];
  }

  #waitingFor(): string[] {
    return [...this.#local.waitingFor(), ...this.#remotes.waitingFor()];
  }

  #notify(): void {
    this.#changed.notify();
    // Services are held back until the store was listed: look at them again.
    this.#loop.wake();
  }
}

/** Wakes the loop whenever the version has grown. */
async function wakeOnChange(
  source: { readonly version: number; changed(version: number, signal: AbortSignal): Promise<void> },
  wake: () => void,
  signal: AbortSignal,
): Promise<void> {
  for (let seen = 0; ; seen = source.version) {
    await source.changed(seen, signal);
    wake();
  }
}

async function* noPeers(): AsyncGenerator<{ readonly type: 'listed' }, void, void> {
  yield { type: 'listed' };
}

import { mkdtemp, rm, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AgentStatus, type RunningAgent, runAgent } from '../../../agent/index.ts';
import {
  type LocalEndpoint,
  type LocalServiceRecord,
  type PeerConfig,
  encodeClusterConfig,
  clusterConfigKey,
  encodeIdentity,
  encodeLocalEndpoints,
  encodeLocalService,
  encodeNodeAssignment,
  encodeService,
  encodeTime,
  encodeWorkload,
  heartbeatKey,
  identityKey,
  keyOfLocalEndpoints,
  keyOfLocalService,
  keyOfNodeAssignment,
  keyOfWorkload,
  ownSetPrefix,
  ownSyncedKey,
  serviceKey,
  syncedKey,
} from '../../../clustermesh/index.ts';
import { MemoryKernel } from '../../../kernel/memory/index.ts';
import { EngineStore, MemoryEngine, type Store } from '../../../kvstore/index.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { type Metrics, createMetrics } from '../../../runtime/metrics/index.ts';
import { callUnixApi } from '../../../runtime/serve/index.ts';
import { parsePrefix } from '../../../values/ip/index.ts';
import { type Link, linkTo } from '../clustermesh/remote/support.ts';

/** Lets real files and virtual time move on until `holds`. The test's own time limit is the only bound. */
export async function until(clock: VirtualClock, holds: () => boolean | Promise<boolean>, stepMs = 20): Promise<void> {
  while (!(await holds())) {
    await clock.advance(stepMs);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** One cluster: its store, and what its apiserver would write there. */
export class TestCluster {
  readonly name: string;
  readonly id: number;
  readonly clock: VirtualClock;
  readonly maxConnectedClusters: 255 | 511;
  engine: MemoryEngine;
  store: Store;

  constructor(name: string, id: number, clock: VirtualClock, maxConnectedClusters: 255 | 511 = 255) {
    this.name = name;
    this.id = id;
    this.clock = clock;
    this.maxConnectedClusters = maxConnectedClusters;
    this.engine = new MemoryEngine({ clock });
    this.store = new EngineStore(this.engine, { clock, endpoint: name });
  }

  /** Everything but the canaries of nodes and addresses, which wait for the agents. */
  async begin(nodes: Readonly<Record<string, string>>): Promise<void> {
    const { name, id, store, maxConnectedClusters } = this;
    const config = { id, syncedCanaries: true, cached: false, maxConnectedClusters, serviceExportsEnabled: false };
    await store.put(clusterConfigKey(name), encodeClusterConfig(config));
    await this.heartbeat();
    for (const [node, cidr] of Object.entries(nodes)) {
      const record = { node, podCidrs: [parsePrefix(cidr)], labels: { zone: 'a' } };
      await store.put(keyOfNodeAssignment(record), encodeNodeAssignment(record));
    }
    for (const kind of ['identities', 'services'] as const) await store.put(syncedKey(name, kind), encodeTime(0));
    for (const kind of ['nodes', 'services', 'endpoints', 'workloads'] as const)
      await store.put(ownSyncedKey(kind), encodeTime(0));
  }

  /** As the apiserver does, once every agent has marked its own set. */
  async canariesAfter(agents: number): Promise<void> {
    await until(this.clock, async () => {
      let marks = 0;
      for await (const page of this.store.list(ownSetPrefix)) marks += page.entries.length;
      return marks === agents;
    });
    for (const kind of ['nodes', 'ip'] as const) await this.store.put(syncedKey(this.name, kind), encodeTime(0));
  }

  async heartbeat(): Promise<void> {
    await this.store.put(heartbeatKey, encodeTime(this.clock.now()));
  }

  async workload(node: string, name: string, identity: number): Promise<void> {
    const record = {
      node,
      namespace: 'shop',
      name,
      uid: `uid-${name}`,
      labels: { app: name },
      identity,
      namedPorts: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      serviceAccount: 'default',
      ips: [],
    };
    await this.store.put(keyOfWorkload(record), encodeWorkload(record));
    const labels = [
      { source: 'k8s', key: 'app', value: name },
      { source: 'k8s', key: 'io.cilium.k8s.policy.cluster', value: this.name },
    ];
    if (identity !== 0) await this.store.put(identityKey(identity), encodeIdentity({ labels }));
  }

  /** A Service with the given backends, as its agents and (when shared) other clusters read it. */
  async service(name: string, clusterIp: string, backends: readonly string[], global: boolean): Promise<void> {
    const service: LocalServiceRecord = {
      namespace: 'shop',
      name,
      uid: `uid-${name}`,
      type: 'ClusterIP',
      clusterIps: [clusterIp],
      headless: false,
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
      externalIps: [],
      loadBalancerIps: [],
      loadBalancerSourceRanges: [],
      sessionAffinity: 'None',
      annotations: global ? { 'service.cilium.io/global': 'true' } : {},
      hasSelector: true,
    };
    const endpoints = backends.map((ip): LocalEndpoint => ({
      addresses: [ip],
      ready: true,
      serving: true,
      terminating: false,
    }));
    const slice = {
      namespace: 'shop',
      service: name,
      slice: `${name}-1`,
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints,
    };
    await this.store.put(keyOfLocalService(service), encodeLocalService(service));
    await this.store.put(keyOfLocalEndpoints(slice), encodeLocalEndpoints(slice));
    if (!global) return;
    const ports = { http: { protocol: 'TCP', port: 8080 } };
    const shared = {
      cluster: this.name,
      clusterId: this.id,
      namespace: 'shop',
      name,
      frontends: { [clusterIp]: { http: { protocol: 'TCP', port: 80 } } },
      backends: Object.fromEntries(backends.map((ip) => [ip, ports])),
      hostnames: {},
      zones: {},
      labels: {},
      selector: {},
      includeExternal: true,
      shared: true,
    };
    await this.store.put(serviceKey(this.name, 'shop', name), encodeService(shared));
  }
}

/** One node: a namespace in memory that outlives its agent. */
export class TestNode {
  readonly cluster: TestCluster;
  readonly name: string;
  readonly ip: string;
  readonly directory: string;
  readonly kernel = new MemoryKernel();
  readonly links: Link[] = [];
  agent: RunningAgent | undefined;
  metrics: Metrics = createMetrics({ prefix: 'isthmus_' });
  #stop: (() => Promise<void>) | undefined;
  /** Remote stores that this node reaches, by cluster; cut ones are missing. */
  readonly reach: (cluster: string) => MemoryEngine | undefined;

  constructor(
    cluster: TestCluster,
    name: string,
    ip: string,
    directory: string,
    reach: (cluster: string) => MemoryEngine | undefined,
  ) {
    this.cluster = cluster;
    this.name = name;
    this.ip = ip;
    this.directory = directory;
    this.reach = reach;
  }

  get socket(): string {
    return join(this.directory, 'api', 'agent.sock');
  }

  async prepare(): Promise<void> {
    const { network } = this.kernel;
    const { index } = await network.createLink({ kind: 'dummy', name: 'eth0', up: true });
    await network.addAddress({ link: index, address: this.ip, length: 24 });
    await mkdir(join(this.directory, 'mesh'), { recursive: true });
  }

  async start(peers: readonly string[]): Promise<void> {
    for (const peer of peers) await writeFile(join(this.directory, 'mesh', peer), `endpoints:\n- ${peer}\n`);
    const controller = new AbortController();
    const { clock } = this.cluster;
    this.metrics = createMetrics({ prefix: 'isthmus_' });
    const started = Promise.withResolvers<void>();
    const running = runAgent(
      {
        clusterName: this.cluster.name,
        clusterId: this.cluster.id,
        maxConnectedClusters: this.cluster.maxConnectedClusters,
        nodeName: this.name,
        nodeIp: this.ip,
        clustermeshConfigDirectory: join(this.directory, 'mesh'),
        stateDirectory: join(this.directory, 'state'),
        apiSocket: this.socket,
        pinDirectory: join(this.directory, 'bpf'),
        rescanMs: 1000,
      },
      {
        store: this.cluster.store,
        kernel: this.kernel,
        openRemoteStore: (config) => this.#open(config),
        clock,
        log: silentLogger,
        metrics: this.metrics,
        started: (agent) => {
          this.agent = agent;
          started.resolve();
        },
      },
      controller.signal,
    );
    this.#stop = async () => {
      controller.abort(new DOMException('The test stops the agent', 'AbortError'));
      await running;
    };
    await Promise.race([started.promise, running]);
  }

  async stop(): Promise<void> {
    const stop = this.#stop;
    this.#stop = undefined;
    this.agent = undefined;
    await stop?.();
  }

  status(): AgentStatus {
    if (!this.agent) throw new Error(`The agent of ${this.name} does not run`);
    return this.agent.status();
  }

  async call(method: string, route: string, body?: unknown): Promise<unknown> {
    return await callUnixApi(this.socket, { method, route, ...(body === undefined ? {} : { body }) });
  }

  /** A pod's veth, and its endpoint at the agent. */
  async pod(name: string, ip: string): Promise<{ readonly identity: number; readonly endpointId: number }> {
    const link = `lxc${name}`;
    await this.kernel.network.createLink({ kind: 'veth', name: link, up: true, peer: { name: 'eth0', netns: 99 } });
    const answer = await this.call('PUT', `/v1/endpoints/shop/${name}`, {
      ips: [ip],
      link,
      mac: '02:00:00:00:00:01',
    });
    return answer as { readonly identity: number; readonly endpointId: number };
  }

  /** The lines of one map, as the kernel describes it. */
  async map(name: string): Promise<string[]> {
    const lines = (await this.kernel.describe()).split('\n');
    return lines.filter((line) => line.includes(name));
  }

  #open(config: PeerConfig): Store {
    const engine = this.reach(config.cluster);
    if (!engine) throw new Error('Nobody answers');
    const link = linkTo(engine, this.cluster.clock);
    this.links.push(link);
    return link.store;
  }
}

export async function temporaryDirectory(): Promise<string> {
  return await mkdtemp(join(tmpdir(), 'isthmus-agent-'));
}

export async function removeDirectory(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

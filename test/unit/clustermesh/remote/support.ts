import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import {
  type ClusterConfigRecord,
  ClusterIds,
  OwnSpace,
  type PeerConfig,
  RemoteCluster,
  type RemoteClusterOptions,
  ServiceTable,
  SyncSlots,
  createMeshView,
  encodeClusterConfig,
  clusterConfigKey,
  encodeIdentity,
  encodeIp,
  encodeNode,
  encodeService,
  encodeTime,
  heartbeatKey,
  identityKey,
  ipKey,
  nodeKey,
  serviceKey,
  syncedKey,
} from '../../../../clustermesh/index.ts';
import {
  type Bytes,
  EngineStore,
  MemoryEngine,
  type ReadOptions,
  type Store,
  PermissionDeniedError,
  UnavailableError,
  type WatchBatch,
  type WatchOptions,
} from '../../../../kvstore/index.ts';
import { hostPrefix, parsePrefix } from '../../../../values/ip/index.ts';

/** A store of one connection, that a test can break. */
export interface Link {
  readonly store: Store;
  cut(): void;
  /** The connection is there, and nothing may be read any more. */
  refuse(): void;
}

/** Lets everything that is ready run until `holds`, without moving time. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < 5000; turn++) {
    if (holds()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`It did not come to: ${what}`);
}

export async function settle(turns = 50): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A store over `engine` whose calls fail once it is cut, as those of a connection that is gone. */
export function linkTo(engine: MemoryEngine, clock: VirtualClock): Link {
  const inner = new EngineStore(engine, { clock, endpoint: 'memory' });
  const broken = new AbortController();
  let refused = false;
  const gone = (): Error =>
    refused ? new PermissionDeniedError('ACL not found') : new UnavailableError('The connection is cut');
  const store = Object.create(inner, {
    get: {
      value: async (key: Bytes, options?: ReadOptions) => {
        if (broken.signal.aborted) throw gone();
        return await inner.get(key, options);
      },
    },
    listAndWatch: {
      value: async function* (prefix: Bytes, { signal }: WatchOptions): AsyncGenerator<WatchBatch, void, void> {
        const both = AbortSignal.any([signal, broken.signal]);
        if (!broken.signal.aborted) yield* inner.listAndWatch(prefix, { signal: both });
        if (broken.signal.aborted && !signal.aborted) throw gone();
      },
    },
    leaseTtl: { value: (id: bigint) => inner.leaseTtl(id) },
    health: { value: () => ({ ...inner.health(), connected: refused || !broken.signal.aborted }) },
    [Symbol.asyncDispose]: { value: () => inner[Symbol.asyncDispose]() },
  }) as Store;
  const refuse = (): void => {
    refused = true;
    broken.abort();
  };
  return { store, cut: () => broken.abort(), refuse };
}

export const westConfig: ClusterConfigRecord = {
  id: 2,
  syncedCanaries: true,
  cached: false,
  maxConnectedClusters: 255,
  serviceExportsEnabled: false,
};

/** What a remote apiserver writes. */
export class RemoteWriter {
  readonly store: Store;
  readonly cluster: string;
  readonly id: number;
  /** Everything that is written from now on goes with this lease. */
  lease = 0n;

  constructor(store: Store, cluster = 'west', id = 2) {
    this.store = store;
    this.cluster = cluster;
    this.id = id;
  }

  async put(key: string, value: string): Promise<void> {
    await this.store.put(key, value, { lease: this.lease });
  }

  async config(config: ClusterConfigRecord = { ...westConfig, id: this.id }): Promise<void> {
    await this.put(clusterConfigKey(this.cluster), encodeClusterConfig(config));
  }

  async heartbeat(ms: number): Promise<void> {
    await this.put(heartbeatKey, encodeTime(ms));
  }

  async canaries(...kinds: ('nodes' | 'services' | 'ip' | 'identities')[]): Promise<void> {
    const all = kinds.length > 0 ? kinds : (['nodes', 'services', 'ip', 'identities'] as const);
    for (const kind of all) await this.put(syncedKey(this.cluster, kind), encodeTime(0));
  }

  async node(name: string, ip: string, ...cidrs: string[]): Promise<void> {
    await this.put(
      nodeKey(this.cluster, name),
      encodeNode({
        name,
        cluster: this.cluster,
        clusterId: this.id,
        addresses: [{ type: 'InternalIP', ip }],
        podCidrs: cidrs.map((cidr) => parsePrefix(cidr)),
        healthIps: [],
        ingressIps: [],
        source: 'local',
        encryptionKey: 0,
        labels: null,
        annotations: null,
        nodeIdentity: 0,
        wireguardPublicKey: '',
        bootId: '',
      }),
    );
  }

  async ip(ip: string, hostIp: string, identity = this.id * 65_536 + 1): Promise<void> {
    await this.put(
      ipKey(ip),
      encodeIp({
        prefix: hostPrefix(ip),
        cidr: false,
        hostIp,
        identity,
        encryptKey: 0,
        metadata: '',
        namespace: 'shop',
        podName: `pod-${ip}`,
        serviceAccount: '',
        namedPorts: [],
      }),
    );
  }

  async identity(id: number, cluster = this.cluster): Promise<void> {
    const labels = [{ source: 'k8s', key: 'io.cilium.k8s.policy.cluster', value: cluster }];
    await this.put(identityKey(id), encodeIdentity({ labels }));
  }

  async service(name: string, backends: Record<string, number>, shared = true): Promise<void> {
    await this.put(
      serviceKey(this.cluster, 'shop', name),
      encodeService({
        cluster: this.cluster,
        clusterId: this.id,
        namespace: 'shop',
        name,
        frontends: {},
        backends: Object.fromEntries(
          Object.entries(backends).map(([ip, port]) => [ip, { http: { protocol: 'TCP', port } }]),
        ),
        hostnames: {},
        zones: {},
        labels: {},
        selector: {},
        includeExternal: true,
        shared,
      }),
    );
  }

  /** A small cluster, complete. */
  async everything(): Promise<void> {
    await this.config();
    await this.heartbeat(Date.UTC(2026, 0, 1));
    await this.node('w1', '192.168.2.1', '10.2.1.0/24');
    await this.node('w2', '192.168.2.2', '10.2.2.0/24');
    await this.ip('10.2.1.5', '192.168.2.1');
    await this.ip('10.2.2.5', '192.168.2.2');
    await this.identity(this.id * 65_536 + 1);
    await this.service('web', { '10.2.1.5': 8080 });
    await this.canaries();
  }
}

/** An agent's side: view, services, and remote clusters over stores that a test hands out. */
export class Side {
  readonly clock = new VirtualClock();
  readonly view = createMeshView({ ownCluster: 'east' });
  readonly services = new ServiceTable({ ownCluster: 'east' });
  readonly ids = new ClusterIds(1);
  readonly ownSpace = new OwnSpace();
  readonly slots = new SyncSlots({ clock: this.clock });
  readonly engines = new Map<string, MemoryEngine>();
  readonly links: Link[] = [];
  /** While true, connecting fails. */
  unreachable = false;

  engine(cluster = 'west'): MemoryEngine {
    const known = this.engines.get(cluster);
    if (known) return known;
    const engine = new MemoryEngine({ clock: this.clock });
    this.engines.set(cluster, engine);
    return engine;
  }

  writer(cluster = 'west', id = 2): RemoteWriter {
    return new RemoteWriter(
      new EngineStore(this.engine(cluster), { clock: this.clock, endpoint: 'memory' }),
      cluster,
      id,
    );
  }

  readonly openStore = (config: PeerConfig): Store => {
    if (this.unreachable) throw new UnavailableError('Nobody answers');
    const link = linkTo(this.engine(config.cluster), this.clock);
    this.links.push(link);
    return link.store;
  };

  remote(name = 'west', options: Partial<RemoteClusterOptions> = {}): RemoteCluster {
    return new RemoteCluster(
      { name, own: { cluster: 'east', clusterId: 1 }, ...options },
      {
        openStore: this.openStore,
        view: this.view,
        services: this.services,
        ownSpace: this.ownSpace,
        ids: this.ids,
        slots: this.slots,
        clock: this.clock,
        log: silentLogger,
      },
    );
  }

  /** Breaks every connection; new ones fail until `heal`. */
  cut(): void {
    this.unreachable = true;
    for (const link of this.links.splice(0)) link.cut();
  }

  heal(): void {
    this.unreachable = false;
  }

  /** All that is known, as text. */
  known(): string[] {
    return [
      ...[...this.view.nodes()].map((node) => `node ${node.cluster}/${node.name} ${node.addresses[0]?.ip}`),
      ...[...this.view.ips()].map((ip) => `ip ${ip.prefix.address} at ${ip.hostIp} is ${ip.identity}`),
      ...[...this.view.identities()].map(({ id }) => `identity ${id}`),
      ...[...this.services.offeredBy('west')].map(
        (service) => `service ${service.name} ${Object.keys(service.backends).join()}`,
      ),
    ].toSorted();
  }
}

export const config = (cluster = 'west', hash = '1'): PeerConfig => ({ cluster, path: cluster, text: '', hash });

import {
  type ClusterConfigRecord,
  KvstoreMesh,
  type KvstoreMeshOptions,
  type PeerConfig,
  type PeerEvent,
  type Resource,
  clusterConfigKey,
  encodeClusterConfig,
  encodeTime,
  heartbeatKey,
  syncedKey,
  watchPrefix,
} from '../../../../clustermesh/index.ts';
import {
  type Bytes,
  EngineStore,
  MemoryEngine,
  PermissionDeniedError,
  type Store,
  type Transaction,
  UnavailableError,
  type WatchBatch,
  type WatchOptions,
  toText,
} from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { AsyncQueue } from '../../../../runtime/queue/index.ts';
import { until as untilTrue } from '../../../support/until.ts';

export const config = (cluster = 'west', hash = '1'): PeerConfig => ({ cluster, path: cluster, text: '', hash });
export const westConfig: ClusterConfigRecord = {
  id: 2,
  syncedCanaries: true,
  cached: false,
  maxConnectedClusters: 255,
  serviceExportsEnabled: false,
};
export const resources: readonly Resource[] = [
  'nodes',
  'services',
  'serviceexports',
  'endpointslices',
  'ip',
  'identities',
];

export type Spoil = (batches: AsyncIterable<WatchBatch>, prefix: string) => AsyncIterable<WatchBatch>;

/** A store over an engine whose calls fail while it is cut, as those of a connection that is gone. */
export class Link {
  readonly store: Store;
  /** Whether nobody may stand for an office. */
  refusesLocks = false;
  readonly #broken = new AbortController();
  #cut = false;

  constructor(engine: MemoryEngine, clock: VirtualClock, spoil: Spoil = (batches) => batches) {
    const inner = new EngineStore(engine, { clock, endpoint: 'memory' });
    const guard = (): void => {
      if (this.#cut) throw new UnavailableError('The connection is cut');
    };
    const broken = this.#broken;
    this.store = {
      get: async (key, options) => {
        guard();
        return await inner.get(key, options);
      },
      put: (key, value, options) => inner.put(key, value, options),
      delete: (key, options) => inner.delete(key, options),
      deletePrefix: (prefix, options) => inner.deletePrefix(prefix, options),
      list: async function* (prefix, options) {
        guard();
        yield* inner.list(prefix, options);
      },
      listAndWatch: async function* (prefix: Bytes, { signal }: WatchOptions): AsyncGenerator<WatchBatch, void, void> {
        const both = AbortSignal.any([signal, broken.signal]);
        if (!broken.signal.aborted)
          yield* spoil(
            inner.listAndWatch(prefix, { signal: both }),
            typeof prefix === 'string' ? prefix : toText(prefix),
          );
        if (broken.signal.aborted && !signal.aborted) throw new UnavailableError('The connection is cut');
      },
      transact: async (transaction: Transaction, options) => {
        guard();
        return await inner.transact(transaction, options);
      },
      grantLease: (options) => inner.grantLease(options),
      leaseTtl: (id, options) => inner.leaseTtl(id, options),
      lock: async (name, options) => {
        if (this.refusesLocks) throw new PermissionDeniedError('ACL not found');
        return await inner.lock(name, options);
      },
      health: () => ({ ...inner.health(), connected: !this.#cut }),
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    };
  }

  /** Ends watches, and makes calls fail from now on. */
  cut(): void {
    this.#cut = true;
    this.#broken.abort();
  }

  /** Calls fail from now on, or no longer; watches go on. */
  set failing(failing: boolean) {
    this.#cut = failing;
  }
}

/** A remote cluster's store, and what its apiserver writes. */
export class Remote {
  readonly name: string;
  readonly id: number;
  readonly #clock: VirtualClock;
  engine: MemoryEngine;
  store: Store;

  constructor(name: string, id: number, clock: VirtualClock) {
    this.name = name;
    this.id = id;
    this.#clock = clock;
    this.engine = new MemoryEngine({ clock });
    this.store = new EngineStore(this.engine, { clock, endpoint: 'memory' });
  }

  /** Another store in its place, empty. */
  wipe(): void {
    this.engine = new MemoryEngine({ clock: this.#clock });
    this.store = new EngineStore(this.engine, { clock: this.#clock, endpoint: 'memory' });
  }

  async config(change: Partial<ClusterConfigRecord> = {}, lease = 0n): Promise<void> {
    const value = encodeClusterConfig({ ...westConfig, id: this.id, ...change });
    await this.store.put(clusterConfigKey(this.name), value, { lease });
  }

  async beat(): Promise<void> {
    await this.store.put(heartbeatKey, encodeTime(this.#clock.now()));
  }

  async put(resource: Resource, key: string, value: Bytes, lease = 0n): Promise<void> {
    await this.store.put(watchPrefix(resource, this.name) + key, value, { lease });
  }

  async delete(resource: Resource, key: string): Promise<void> {
    await this.store.delete(watchPrefix(resource, this.name) + key);
  }

  async canaries(of: readonly Resource[] = resources, lease = 0n): Promise<void> {
    for (const resource of of) await this.store.put(syncedKey(this.name, resource), encodeTime(0), { lease });
  }

  /** A small cluster, complete. */
  async everything(): Promise<void> {
    await this.config();
    await this.beat();
    await this.records();
    await this.canaries();
  }

  async records(lease = 0n): Promise<void> {
    await this.put('nodes', 'w1', 'node w1', lease);
    await this.put('ip', '10.2.1.5', 'ip 5', lease);
    await this.put('ip', '10.2.1.6', 'ip 6', lease);
    await this.put('identities', '131073', 'labels', lease);
    await this.put('services', 'shop/web', 'service', lease);
  }
}

/** One kvstoremesh over stores in memory, in virtual time. */
export class Rig {
  readonly clock = new VirtualClock();
  readonly local = new MemoryEngine({ clock: this.clock });
  readonly localLink = new Link(this.local, this.clock);
  /** For looking. */
  readonly look = new EngineStore(this.local, { clock: this.clock, endpoint: 'memory' });
  readonly remotes = new Map<string, Remote>();
  readonly links: Link[] = [];
  unreachable = false;
  /** What becomes of a remote's watches on their way. */
  spoil: Spoil | undefined;
  readonly #stops: (() => Promise<void>)[] = [];

  remote(name = 'west', id = 2): Remote {
    const remote = this.remotes.get(name) ?? new Remote(name, id, this.clock);
    this.remotes.set(name, remote);
    return remote;
  }

  /** Starts one more process. Its directory lists `names`, until told otherwise. */
  start(
    names: readonly string[] = ['west'],
    options: Partial<KvstoreMeshOptions> = {},
    link = this.localLink,
    unread: readonly string[] = [],
  ): { readonly mesh: KvstoreMesh; readonly peers: Directory; readonly stop: () => Promise<void> } {
    const peers = new Directory(names);
    for (const name of unread) peers.unread.add(name);
    const mesh = new KvstoreMesh(
      { clusterName: 'east', clusterId: 1, ...options },
      {
        store: link.store,
        openStore: ({ cluster }) => {
          if (this.unreachable) throw new UnavailableError('Nobody answers');
          const found = new Link(this.remote(cluster).engine, this.clock, this.spoil);
          this.links.push(found);
          return found.store;
        },
        peers: (signal) => peers.follow(signal),
        clock: this.clock,
        log: silentLogger,
      },
    );
    const controller = new AbortController();
    const running = mesh.run(controller.signal).catch((error: unknown) => {
      if (!controller.signal.aborted) throw error;
    });
    const stop = async (): Promise<void> => {
      controller.abort();
      await running;
    };
    this.#stops.push(stop);
    return { mesh, peers, stop };
  }

  cut(): void {
    this.unreachable = true;
    for (const link of this.links.splice(0)) link.cut();
  }

  heal(): void {
    this.unreachable = false;
  }

  /** Waits until something holds, in moments of virtual time. */
  async until(holds: () => boolean | Promise<boolean>, stepMs = 10): Promise<void> {
    await untilTrue(holds, () => this.clock.advance(stepMs));
  }

  /** Moves time while the remotes' writers live. */
  async pass(ms: number, beating = true): Promise<void> {
    for (let left = ms; left > 0; left -= 30_000) {
      if (beating) for (const remote of this.remotes.values()) await remote.beat();
      await this.clock.advance(Math.min(left, 30_000));
    }
  }

  /** What the local store holds of clusters, without the lock. */
  async held(prefix = 'cilium/'): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for await (const { entries } of this.look.list(prefix))
      for (const { key, value } of entries)
        if (!toText(key).startsWith('cilium/kvstoremesh-lock')) found[toText(key)] = toText(value);
    return found;
  }

  /** Keys of the data alone. */
  async copies(): Promise<string[]> {
    return Object.keys(await this.held('cilium/cache/'));
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0)) await stop();
  }
}

/** A configuration directory that exists in words. */
export class Directory {
  /** Clusters whose files are there and hold nothing. */
  readonly unread = new Set<string>();
  readonly #configs = new Map<string, PeerConfig>();
  readonly #queues = new Set<AsyncQueue<PeerEvent>>();

  constructor(names: readonly string[]) {
    for (const name of names) this.#configs.set(name, config(name));
  }

  /** @param policy text of what is allowed to it */
  add(name: string, hash = '1', policy?: string): void {
    const beside = policy === undefined ? {} : { policy: { path: `${name}.isthmus.yaml`, text: policy } };
    const added = { ...config(name, hash), ...beside };
    this.#configs.set(name, added);
    this.#tell({ type: 'add', config: added });
  }

  remove(name: string): void {
    this.#configs.delete(name);
    this.#tell({ type: 'remove', cluster: name });
  }

  async *follow(signal: AbortSignal): AsyncGenerator<PeerEvent, void, void> {
    if (signal.aborted) return;
    const queue = new AsyncQueue<PeerEvent>();
    for (const one of this.#configs.values()) queue.push({ type: 'add', config: one });
    queue.push({ type: 'listed', unread: this.unread });
    this.#queues.add(queue);
    signal.addEventListener('abort', () => queue.end(), { once: true });
    yield* queue;
    this.#queues.delete(queue);
  }

  #tell(event: PeerEvent): void {
    for (const queue of this.#queues) queue.push(event);
  }
}

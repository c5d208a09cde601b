import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { linear, retry } from '../../runtime/retry/index.ts';
import type { TaskGroup } from '../../runtime/tasks/index.ts';
import type { MaxConnectedClusters } from '../../values/identity/index.ts';
import {
  type RowObserver,
  type Store,
  type StoreHealth,
  UnavailableError,
  WatchStore,
  toBytes,
} from '../../kvstore/index.ts';
import type { PeerConfig } from '../peers/index.ts';
import type { ClusterContent, Recollection, Rememberable } from '../remembered/index.ts';
import type { ServiceTable } from '../services/index.ts';
import type { MeshView } from '../view/index.ts';
import {
  type ClusterConfigRecord,
  type Layout,
  checkClusterConfig,
  syncedName,
  syncedPrefix,
  watchPrefix,
} from '../wire/index.ts';
import type { ClusterIds } from './cluster-ids.ts';
import { hintFor } from './errors.ts';
import { FeedSource } from './feed-source.ts';
import { Heartbeat, heartbeatLimitMs } from './heartbeat.ts';
import { type KindSink, type RemoteKind, contentOf, kindSinks, remoteKinds } from './kinds.ts';
import { notedRows } from './noted-rows.ts';
import { withLiveStore } from './live-store.ts';
import { readClusterConfig } from './read-cluster-config.ts';
import { Refusals } from './refusals.ts';
import { type RemoteClusterStatus, neverFailed } from './status.ts';
import { SyncMarks } from './sync-marks.ts';
import type { SyncSlots } from './sync-slots.ts';

export interface RemoteClusterOptions {
  /** The name by which it is configured here; its records must bear it. */
  readonly name: string;
  readonly own: { readonly cluster: string; readonly clusterId: number };
  readonly maxConnectedClusters?: MaxConnectedClusters;
}

export interface RemoteClusterDeps {
  /** Opens the store that a configuration names. Throws when the configuration is no good. */
  readonly openStore: (config: PeerConfig) => Store | Promise<Store>;
  readonly view: MeshView;
  readonly services: ServiceTable;
  readonly ids: ClusterIds;
  readonly slots: SyncSlots;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after every change of the status. */
  readonly onChange?: () => void;
  /** A remote that is connected has not shown a heartbeat for too long. */
  readonly onSilence?: () => void;
}

interface Feed {
  readonly kind: RemoteKind;
  readonly watch: WatchStore;
  /** Listed completely on the present connection. */
  synced: boolean;
  /** Given back when the listing is complete. */
  slot: Disposable | undefined;
}

/**
 * One remote cluster: connect, read its configuration, follow its records, start over after failures. What it has told
 * stays in the view while it is away; a new connection removes only what a complete listing no longer has. `drain` is for
 * the removal of its configuration; ending `run` drains nothing. What an earlier life of this process knew may be given
 * with `recall` before the first `run`, and is treated like what an earlier connection told.
 */
export class RemoteCluster implements Rememberable {
  readonly name: string;
  readonly #options: RemoteClusterOptions;
  readonly #deps: RemoteClusterDeps;
  readonly #log: Logger;
  readonly #heartbeat: Heartbeat;
  readonly #refusals = new Refusals();
  readonly #source = new FeedSource();
  #feeds: readonly Feed[] = [];
  #layout: Layout | undefined;
  #clusterId: number | undefined;
  #config: ClusterConfigRecord | undefined;
  /** Of the present connection, else of the last one. */
  #health: (() => StoreHealth) | undefined;
  #heard = false;
  #known = false;
  #changes = 0;
  #recalled: { readonly asOfMs: number; readonly records: number; readonly leftOut: readonly string[] } | undefined;
  #lost: string | undefined;
  #failures = 0;
  #lastFailureMs: number | undefined;
  #failure: unknown;

  constructor(options: RemoteClusterOptions, deps: RemoteClusterDeps) {
    this.name = options.name;
    this.#options = options;
    this.#deps = deps;
    this.#log = deps.log.child({ [fields.cluster]: options.name });
    this.#heartbeat = new Heartbeat(deps.clock);
  }

  /** True once every kind was listed completely in this process. */
  get known(): boolean {
    return this.#known;
  }

  get clusterId(): number | undefined {
    return this.#clusterId;
  }

  get changes(): number {
    return this.#changes;
  }

  get current(): boolean {
    return this.#heard && this.#health?.().connected === true && this.#allSynced();
  }

  /**
   * True while this cluster may have told an earlier life what nobody knows now: what the kernel holds of it must then
   * not be judged by what is known.
   */
  get lost(): boolean {
    return !this.#known && this.#lost !== undefined;
  }

  content(): ClusterContent {
    if (!this.#config) throw new TypeError(`Nothing was read of ${this.name} that could be remembered`);
    const { view, services } = this.#deps;
    return { config: this.#config, kinds: contentOf(view.saidBy(this.name), [...services.offeredBy(this.name)]) };
  }

  /** Takes over what an earlier life knew, as if an earlier connection had told it. Before the first `run` only. */
  recall(found: Recollection): void {
    if (found.state === 'lost') this.#lost = found.reason;
    if (found.state !== 'found') return;
    const { config, records, leftOut, asOfMs } = found.cluster;
    try {
      this.#check(config);
      this.#deps.ids.reserve(config.id, this.name);
    } catch (error) {
      this.#log.warn('What was remembered of a remote cluster is void', { [fields.error]: error });
      return;
    }
    this.#clusterId = config.id;
    this.#layout = config.cached ? 'cache' : 'state';
    this.#feeds = this.#makeFeeds(config, this.#layout);
    for (const { kind, key, value } of records) this.#assume(kind, key, value);
    this.#recalled = { asOfMs, records: records.length, leftOut };
    if (leftOut.includes('services')) this.#lost = 'its services were too many to be kept';
    this.#log.info('Serving a remote cluster from what was remembered, until it can be read', {
      [fields.count]: records.length,
      ageSeconds: this.#recalledAge(),
    });
  }

  /** Connects and follows until `signal` aborts. May be called again, with another configuration, once it has ended. */
  async run(config: PeerConfig, signal: AbortSignal): Promise<void> {
    await retry((attempt) => this.#attempt(config, attempt), {
      clock: this.#deps.clock,
      signal,
      schedule: linear({ stepMs: 1000, maxMs: 30_000 }),
      onFailure: (error, failures, delayMs) => {
        this.#failed(error);
        this.#log.warn('Connection to a remote cluster failed', {
          [fields.error]: error,
          [fields.attempt]: failures,
          [fields.delayMs]: Math.round(delayMs),
          [fields.hint]: hintFor(error),
        });
      },
    });
  }

  /** Withdraws all that the cluster has told and gives its id back. Not while `run` is under way. */
  drain(): void {
    this.#drainFeeds();
    if (this.#clusterId !== undefined) this.#deps.ids.release(this.#clusterId, this.name);
    this.#clusterId = undefined;
    this.#config = undefined;
    this.#lost = undefined;
  }

  status(): RemoteClusterStatus {
    const health = this.#health?.();
    const ageMs = this.#heartbeat.ageMs;
    const connected = this.#heard && health?.connected === true;
    const ready = connected && this.#config !== undefined && this.#allSynced();
    const failure = ready ? undefined : (this.#failure ?? health?.error);
    const recalled = this.#recalled;
    const hint = failure === undefined ? undefined : hintFor(this.#failure ?? new UnavailableError(''));
    return {
      name: this.name,
      ready,
      connected,
      'num-nodes': this.#size('nodes'),
      'num-endpoints': this.#size('ip'),
      'num-identities': this.#size('identities'),
      'num-shared-services': this.#size('services'),
      'num-service-exports': 0,
      'num-failures': this.#failures,
      'last-failure': this.#lastFailureMs === undefined ? neverFailed : new Date(this.#lastFailureMs).toISOString(),
      status: this.#words(connected),
      config: this.#configStatus(),
      synced: {
        nodes: this.#synced('nodes'),
        endpoints: this.#synced('ip'),
        identities: this.#synced('identities'),
        services: this.#synced('services'),
      },
      ...(ageMs === undefined ? {} : { 'heartbeat-age-seconds': Math.floor(ageMs / 1000) }),
      stale: this.#heartbeat.stale || (ageMs === undefined && this.#recalledAge() * 1000 > heartbeatLimitMs),
      known: this.#known,
      ...(recalled === undefined
        ? {}
        : {
            restored: {
              'as-of': new Date(recalled.asOfMs).toISOString(),
              'age-seconds': this.#recalledAge(),
              records: recalled.records,
              'left-out': recalled.leftOut,
            },
          }),
      ...(this.lost ? { lost: this.#lost ?? '' } : {}),
      refused: { total: this.#refusals.total, keys: this.#refusals.list() },
      ...(failure === undefined ? {} : { failure: wordsOf(failure) }),
      ...(hint === undefined ? {} : { hint }),
    };
  }

  async #attempt(config: PeerConfig, signal: AbortSignal): Promise<void> {
    await using store = await this.#deps.openStore(config);
    this.#health = () => store.health();
    this.#heard = false;
    for (const feed of this.#feeds) feed.synced = false;
    const { clock, onChange, onSilence } = this.#deps;
    const onHeard = (): void => {
      this.#heard = true;
      onChange?.();
    };
    const life = { heartbeat: this.#heartbeat, clock, onHeard, ...(onSilence ? { onSilence } : {}) };
    try {
      await withLiveStore(store, life, (tasks, running) => this.#use(store, tasks, running), signal);
    } finally {
      const last: StoreHealth = { ...store.health(), connected: false };
      this.#health = () => last;
      this.#heard = false;
      this.#deps.onChange?.();
    }
  }

  async #use(store: Store, tasks: TaskGroup, signal: AbortSignal): Promise<void> {
    await this.#adopt(await this.#readConfig(store, signal));
    this.#source.use(store);
    const canaries = new SyncMarks(syncedPrefix(this.name));
    if (this.#config?.syncedCanaries) tasks.run((watching) => canaries.follow(store, watching));
    for (const feed of this.#feeds) tasks.run((watching) => this.#follow(feed, canaries, watching));
  }

  #readConfig(store: Store, signal: AbortSignal): Promise<ClusterConfigRecord> {
    const onFailure = (error: unknown): void => {
      this.#failure = error;
      this.#log.warn('Cannot read the configuration of a remote cluster', {
        [fields.error]: error,
        [fields.hint]: hintFor(error),
      });
    };
    return readClusterConfig(store, { cluster: this.name, clock: this.#deps.clock, onFailure }, signal);
  }

  /** Takes over what the cluster says of itself. A new id makes all that it told under the old one void. */
  async #adopt(config: ClusterConfigRecord): Promise<void> {
    this.#check(config);
    const before = this.#clusterId;
    const layout: Layout = config.cached ? 'cache' : 'state';
    if (before !== undefined && before !== config.id) {
      this.#log.warn('Remote cluster id changed: draining all known entries', { before, after: config.id });
      this.#drainFeeds();
      // Given back first: two clusters may have exchanged their ids, and each would wait for the other.
      this.#deps.ids.release(before, this.name);
      this.#clusterId = undefined;
    }
    this.#deps.ids.reserve(config.id, this.name);
    this.#clusterId = config.id;
    this.#config = config;
    if (this.#feeds.length > 0 && this.#layout === layout) return;
    // The same records under other keys: what was known under the old ones is judged by the listing of the new ones.
    const told = this.#feeds.length > 0 ? this.content().kinds : [];
    this.#layout = layout;
    this.#feeds = this.#makeFeeds(config, layout);
    for (const { kind, records } of told) for (const { key, value } of records) this.#assume(kind, key, value);
  }

  #check(config: ClusterConfigRecord): void {
    const { own, maxConnectedClusters = 255 } = this.#options;
    checkClusterConfig(this.name, config, { clusterId: own.clusterId, maxConnectedClusters });
  }

  #makeFeeds(config: ClusterConfigRecord, layout: Layout): Feed[] {
    const { maxConnectedClusters = 255 } = this.#options;
    const origin = { cluster: this.name, clusterId: config.id, maxConnectedClusters };
    const sinks = kindSinks(origin, this.#deps.view.writer(origin), this.#deps.services.remote(this.name));
    return remoteKinds.map((kind) => {
      const feed: Feed = {
        kind,
        synced: false,
        slot: undefined,
        watch: new WatchStore({
          store: this.#source,
          prefix: watchPrefix(kind, this.name, layout),
          log: this.#log,
          observer: {
            ...this.#rowsOf(kind, sinks[kind]),
            upsert: (key, value) => this.#upsert(kind, sinks[kind], key, value),
            remove: (key) => {
              this.#changes++;
              this.#refusals.clear(kind, key);
              sinks[kind].remove(key);
            },
            synced: () => this.#listed(feed),
          },
        }),
      };
      return feed;
    });
  }

  #rowsOf(kind: RemoteKind, { rows }: KindSink): { readonly rows?: RowObserver } {
    if (!rows) return {};
    const changed = (count: number): void => void (this.#changes += count);
    return { rows: notedRows({ kind, rows, refusals: this.#refusals, changed }) };
  }

  #assume(kind: string, key: string, value: string): void {
    this.#feeds.find((feed) => feed.kind === kind)?.watch.assume(key, toBytes(value));
  }

  #upsert(kind: RemoteKind, sink: KindSink, key: string, value: Uint8Array): void {
    this.#changes++;
    try {
      sink.upsert(key, value);
      this.#refusals.clear(kind, key);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#refusals.note({ kind, key, reason }))
        this.#log.warn('A record of a remote cluster is refused', { kind, [fields.key]: key, reason });
    }
  }

  async #follow(feed: Feed, canaries: SyncMarks, signal: AbortSignal): Promise<void> {
    if (this.#config?.syncedCanaries)
      await canaries.present(syncedName(feed.kind, this.#config.cached ? 'cache' : 'state'), signal);
    using slot = await this.#deps.slots.acquire(signal);
    feed.slot = slot;
    await feed.watch.run(signal);
  }

  #listed(feed: Feed): void {
    feed.slot?.[Symbol.dispose]();
    feed.slot = undefined;
    feed.synced = true;
    if (this.#allSynced()) {
      if (!this.#known) this.#log.info('Remote cluster is synced');
      this.#known = true;
      this.#recalled = undefined;
      this.#lost = undefined;
      this.#failure = undefined;
    }
    this.#deps.onChange?.();
  }

  #failed(error: unknown): void {
    this.#failures++;
    this.#failure = error;
    this.#lastFailureMs = this.#deps.clock.now();
    this.#deps.onChange?.();
  }

  #drainFeeds(): void {
    for (const feed of this.#feeds) feed.watch.drain();
    this.#feeds = [];
    this.#layout = undefined;
    this.#known = false;
    this.#recalled = undefined;
  }

  /** Seconds since what was remembered was last known to be so. */
  #recalledAge(): number {
    const { asOfMs } = this.#recalled ?? {};
    return asOfMs === undefined ? 0 : Math.max(0, Math.floor((this.#deps.clock.now() - asOfMs) / 1000));
  }

  #allSynced(): boolean {
    return this.#feeds.length > 0 && this.#feeds.every(({ synced }) => synced);
  }

  #synced(kind: RemoteKind): boolean {
    return this.#feeds.find((feed) => feed.kind === kind)?.synced ?? false;
  }

  #size(kind: RemoteKind): number {
    return this.#feeds.find((feed) => feed.kind === kind)?.watch.size ?? 0;
  }

  #words(connected: boolean): string {
    const health = this.#health?.();
    if (this.#recalled) return `Not read yet, served from what was remembered ${this.#recalledAge()} s ago`;
    if (!health) return 'Waiting for initial connection to be established';
    const store = health.storeId === undefined ? '' : `, ID: ${health.storeId}`;
    return `etcd: ${connected ? '1/1 connected' : '0/1 connected'}, ${health.endpoint}${store}`;
  }

  #configStatus(): RemoteClusterStatus['config'] {
    const config = this.#config;
    if (!config) return { required: true, retrieved: false };
    return {
      required: true,
      retrieved: true,
      'cluster-id': config.id,
      kvstoremesh: config.cached,
      'sync-canaries': config.syncedCanaries,
      ...(config.serviceExportsEnabled === undefined
        ? {}
        : { 'service-exports-enabled': config.serviceExportsEnabled }),
      ...(config.endpointSlicesExportMode === undefined
        ? {}
        : { 'endpoint-slices-export-mode': config.endpointSlicesExportMode }),
    };
  }
}

function wordsOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : typeof failure === 'string' ? failure : 'Unknown failure';
}

import type { Clock, Timer } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { type Schedule, exponential, retry } from '../../runtime/retry/index.ts';
import { Condition, TaskGroup } from '../../runtime/tasks/index.ts';
import type { Store, StoreHealth } from '../../kvstore/index.ts';
import { type PeerConfig, type PeerPolicy, checkPeerId, policyOf } from '../peers/index.ts';
import {
  ClusterConfigMissingError,
  ConfigChangedError,
  FeedSource,
  type FoundClusterConfig,
  Heartbeat,
  SyncMarks,
  SetsAwaitedError,
  type SyncSlots,
  hintFor,
  misreadOf,
  findClusterConfig,
  withLiveStore,
} from '../remote/index.ts';
import {
  type ClusterConfigRecord,
  type InvalidRecordError,
  type Layout,
  type Resource,
  clusterConfigKey,
  decodeClusterConfig,
  encodeClusterConfig,
  syncedName,
  syncedPrefix,
} from '../wire/index.ts';
import { AddressLimit } from './address-limit.ts';
import type { CacheWriter } from './cache-writer.ts';
import { type ServiceMode, cachedResources, isReflected } from './cached-config.ts';
import { LeadershipLostError, OwnStoreError } from './errors.ts';
import { LeaseLoss } from './lease-loss.ts';
import { LocalMarks } from './local-marks.ts';
import { Reflector } from './reflector.ts';
import { syncedNames } from './status.ts';

export interface MirroredClusterOptions {
  readonly name: string;
  readonly serviceMode: ServiceMode;
  /** Services go from the cache when the remote has been away this long; 0: never. */
  readonly cacheTtlMs: number;
  /** What went with a lease of the remote is kept this long; 0: for ever. */
  readonly leaseLossGraceMs: number;
}

export interface MirroredClusterDeps {
  /** Opens the store that a configuration names. Throws when the configuration is no good. */
  readonly openStore: (config: PeerConfig) => Store | Promise<Store>;
  readonly local: Pick<Store, 'list' | 'get' | 'health'>;
  readonly writer: CacheWriter;
  /** Connections that are being made, over all clusters. */
  readonly connecting: SyncSlots;
  /** Listings that are under way, over all clusters. */
  readonly listing: SyncSlots;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onChange: () => void;
}

const checkConfigMs = 15_000;
const settleMs = 1_000;
const countMs = 5_000;
const revoked: ReadonlySet<Resource> = new Set(['services', 'serviceexports', 'endpointslices']);
/** As Cilium's controllers, n seconds after the n-th failure, but 255 that failed at once do not come back at once. */
const reconnect: Schedule = (failures, random) => Math.min(30_000, failures * 1000) * (0.5 + random);

/**
 * One remote cluster as the local cache shows it: connect, copy its configuration, copy its sets, start over after failures.
 * What the cache holds stays while the remote is away, or silent; a new connection removes only what a complete listing no longer has.
 */
export class MirroredCluster {
  readonly name: string;
  readonly #options: MirroredClusterOptions;
  readonly #deps: MirroredClusterDeps;
  readonly #log: Logger;
  readonly #limit: AddressLimit;
  readonly #reflectors: readonly Reflector[];
  readonly #source = new FeedSource();
  readonly #heartbeat: Heartbeat;
  readonly #marks: LocalMarks;
  readonly #unsettled = new Condition();
  /** Of the present connection. */
  #judge: LeaseLoss | undefined;
  #canaries: SyncMarks | undefined;
  #config: ClusterConfigRecord | undefined;
  #health: (() => StoreHealth) | undefined;
  #heard = false;
  #configMissing = false;
  #policy: PeerPolicy = {};
  #misread: InvalidRecordError | undefined;
  #known = false;
  #everConnected = false;
  #failures = 0;
  #lastFailureMs: number | undefined;
  #failure: unknown;
  #revocations = 0;
  #ttl: Timer | undefined;
  #expired = false;

  constructor(options: MirroredClusterOptions, deps: MirroredClusterDeps) {
    this.name = options.name;
    this.#options = options;
    this.#deps = deps;
    this.#log = deps.log.child({ [fields.cluster]: options.name });
    this.#heartbeat = new Heartbeat(deps.clock);
    this.#marks = new LocalMarks(options.name, { local: deps.local, writer: deps.writer, clock: deps.clock });
    this.#limit = new AddressLimit(this.#log);
    this.#reflectors = cachedResources.map(
      (resource) =>
        new Reflector(
          { cluster: options.name, resource },
          {
            local: deps.local,
            writer: deps.writer,
            nowMs: () => deps.clock.monotonicMs(),
            onHeld: () => this.#unsettled.notify(),
            limit: resource === 'ip' ? this.#limit : undefined,
            log: this.#log,
          },
        ),
    );
  }

  get reflectors(): readonly Reflector[] {
    return this.#reflectors;
  }

  /** Which of its addresses are copied. */
  get limit(): AddressLimit {
    return this.#limit;
  }

  /** The remote's configuration was read on the present connection. */
  get connected(): boolean {
    return this.#judge !== undefined && this.heard;
  }

  get config(): ClusterConfigRecord | undefined {
    return this.#config;
  }

  /** What is wrong with the configuration that the remote has now; it is copied on by the one before. */
  get misread(): InvalidRecordError | undefined {
    return this.#misread;
  }

  get synced(): boolean {
    return this.#reflectors.every(({ synced }) => synced);
  }

  /** What was not copied yet on the present connection; undefined once all was. */
  get awaited(): SetsAwaitedError | undefined {
    const layout: Layout = this.#config?.cached === true ? 'cache' : 'state';
    const isMarked = (resource: Resource): boolean => this.#canaries?.has(syncedName(resource, layout)) ?? true;
    const sets = this.#reflectors
      .filter(({ synced }) => !synced)
      .map(({ resource }) => ({ name: syncedNames[resource], unmarked: !isMarked(resource) }));
    return sets.length === 0 ? undefined : new SetsAwaitedError(this.name, sets);
  }

  /** Every set was copied completely at least once in this life. */
  get known(): boolean {
    return this.#known;
  }

  /** Its writer is dead, or has lost its lease: what the cache holds of it stays in use. */
  get stale(): boolean {
    const hasLost = this.#configMissing && this.#config !== undefined;
    return this.#heartbeat.stale || hasLost || this.#reflectors.some(({ held }) => held > 0);
  }

  /** What an earlier life or another leader has copied is not counted yet. */
  get loading(): boolean {
    return this.#reflectors.some(({ loaded }) => !loaded);
  }

  get heartbeatAgeMs(): number | undefined {
    return this.#heartbeat.ageMs;
  }

  get heard(): boolean {
    return this.#heard && this.#health?.().connected === true;
  }

  get health(): StoreHealth | undefined {
    return this.#health?.();
  }

  get failures(): {
    readonly count: number;
    readonly lastMs: number | undefined;
    readonly last: unknown;
    readonly configMissing: boolean;
  } {
    return {
      count: this.#failures,
      lastMs: this.#lastFailureMs,
      last: this.#failure,
      configMissing: this.#configMissing,
    };
  }

  get revocations(): number {
    return this.#revocations;
  }

  /** Connects and copies until `signal` aborts. May be called again, with another configuration, once it has ended. */
  async run(config: PeerConfig, signal: AbortSignal): Promise<void> {
    await using tasks = new TaskGroup(signal);
    tasks.run((running) => this.#settleForever(running));
    tasks.run((running) => this.#countCopies(running));
    tasks.run((running) =>
      retry((attempt) => this.#connect(config, attempt), {
        clock: this.#deps.clock,
        signal: running,
        schedule: reconnect,
        retryable: (error) => !(error instanceof LeadershipLostError),
        onFailure: (error, failures, delayMs) => this.#failed(error, failures, delayMs),
      }),
    );
    try {
      await tasks.wait();
    } finally {
      this.#stopTtl();
    }
  }

  /** Who takes over learns what there is of a remote, whether that answers or not. */
  async #countCopies(signal: AbortSignal): Promise<void> {
    const schedule = exponential({ firstMs: countMs, maxMs: 60_000 });
    await this.#deps.clock.sleep(countMs, signal);
    await retry(
      async (running) => {
        using _slot = await this.#deps.listing.acquire(running);
        for (const reflector of this.#reflectors) await reflector.load(running);
      },
      { clock: this.#deps.clock, signal, schedule },
    );
    this.#deps.onChange();
  }

  /** A remote that says something new of itself is no failure. */
  async #connect(config: PeerConfig, signal: AbortSignal): Promise<void> {
    for (;;)
      try {
        return await this.#attempt(config, signal);
      } catch (error) {
        if (!(error instanceof ConfigChangedError)) throw error;
        this.#log.info('A remote cluster has changed its configuration: connecting anew');
      }
  }

  async #attempt(config: PeerConfig, signal: AbortSignal): Promise<void> {
    this.#startTtl();
    for (const reflector of this.#reflectors) reflector.reset();
    // One that cannot be read throws: the limits before stay.
    this.#policy = policyOf(config);
    this.#limit.allow(this.#policy.allowedCidrs);
    for (const reflector of this.#reflectors) await reflector.enforce(signal);
    const slot = await this.#deps.connecting.acquire(signal);
    try {
      await using store = await this.#deps.openStore(config);
      this.#health = () => store.health();
      const onHeard = (): void => {
        this.#heard = true;
        slot[Symbol.dispose]();
        this.#deps.onChange();
      };
      try {
        await withLiveStore(
          store,
          { heartbeat: this.#heartbeat, clock: this.#deps.clock, onHeard },
          (tasks, running) => this.#use(store, tasks, running),
          signal,
        );
      } finally {
        const last: StoreHealth = { ...store.health(), connected: false };
        this.#health = () => last;
        this.#heard = false;
        this.#judge = undefined;
        this.#deps.onChange();
      }
    } finally {
      slot[Symbol.dispose]();
    }
  }

  /** Copies the configuration, then each set once its canary is there (clustermesh-behaviour §8.2). */
  async #use(store: Store, tasks: TaskGroup, signal: AbortSignal): Promise<void> {
    const found = await this.#readConfig(store, signal);
    await this.#refuseOwnStore(store, found, signal);
    const { config } = found;
    checkPeerId(this.#policy, config);
    this.#stopTtl();
    this.#configMissing = false;
    this.#misread = undefined;
    // Of this connection it has been cured; what ended an earlier one is told until everything is there again.
    if (this.#failure instanceof ClusterConfigMissingError) this.#failure = undefined;
    await this.#marks.publishConfig(config, signal);
    const layout: Layout = config.cached ? 'cache' : 'state';
    const { syncedCanaries } = config;
    const judge = new LeaseLoss(store, {
      cluster: this.name,
      layout,
      syncedCanaries,
      heartbeat: this.#heartbeat,
      clock: this.#deps.clock,
    });
    this.#config = config;
    this.#judge = judge;
    this.#everConnected = true;
    this.#source.use(store);
    this.#deps.onChange();
    const canaries = new SyncMarks(syncedPrefix(this.name));
    this.#canaries = syncedCanaries ? canaries : undefined;
    if (syncedCanaries) tasks.run((watching) => canaries.follow(store, watching));
    const isCopied = ({ resource }: Reflector): boolean => isReflected(resource, config, this.#options.serviceMode);
    // Before any data, as Cilium's: who sees data of a cluster may rely on what there is none of.
    await Promise.all(
      this.#reflectors.filter((one) => !isCopied(one)).map((reflector) => this.#leaveOut(reflector, signal)),
    );
    for (const reflector of this.#reflectors.filter(isCopied))
      tasks.run(async (running) => {
        if (syncedCanaries) await canaries.present(syncedName(reflector.resource, layout), running);
        await this.#copy(reflector, layout, judge, running);
      });
    tasks.run((running) => this.#watchConfig(store, config, running));
    tasks.run((running) => this.#marks.repairForever(running));
  }

  async #copy(reflector: Reflector, layout: Layout, judge: LeaseLoss, signal: AbortSignal): Promise<void> {
    using slot = await this.#deps.listing.acquire(signal);
    const onListed = async (): Promise<void> => {
      slot[Symbol.dispose]();
      await this.#marks.writeCanary(reflector.resource, signal);
      this.#listed();
    };
    await reflector.follow({ store: this.#source, layout, judge, onListed }, signal);
  }

  async #leaveOut(reflector: Reflector, signal: AbortSignal): Promise<void> {
    await reflector.clear(signal);
    await this.#marks.writeCanary(reflector.resource, signal);
    this.#listed();
  }

  #listed(): void {
    if (this.synced) {
      if (!this.#known) this.#log.info('Remote cluster is copied');
      this.#known = true;
      this.#failure = undefined;
    }
    this.#deps.onChange();
  }

  #readConfig(store: Store, signal: AbortSignal): Promise<FoundClusterConfig> {
    const onFailure = (error: unknown): void => {
      const isKnown = messageOf(error) === messageOf(this.#failure);
      this.#failure = error;
      if (error instanceof ClusterConfigMissingError) this.#configMissing = true;
      // It is looked for again and again: the same words once.
      this.#log[isKnown ? 'debug' : 'warn']('Cannot read the configuration of a remote cluster', {
        [fields.error]: error,
        [fields.hint]: hintFor(error),
      });
    };
    return findClusterConfig(store, { cluster: this.name, clock: this.#deps.clock, onFailure }, signal);
  }

  /** Where agents find the copies is no place to copy them from: they would be called as fresh as our own heartbeat for ever. */
  async #refuseOwnStore(store: Store, found: FoundClusterConfig, signal: AbortSignal): Promise<void> {
    const { local } = this.#deps;
    const { storeId } = store.health();
    if (!found.config.cached || storeId === undefined || storeId !== local.health().storeId) return;
    const copy = await local.get(clusterConfigKey(this.name), { signal });
    if (copy?.createRevision === found.createRevision) throw new OwnStoreError();
  }

  /** A remote reader may not watch the one key that it may read: it asks now and then. */
  async #watchConfig(store: Store, config: ClusterConfigRecord, signal: AbortSignal): Promise<void> {
    const key = clusterConfigKey(this.name);
    const known = encodeClusterConfig(config);
    for (;;) {
      await this.#deps.clock.sleep(checkConfigMs, signal);
      const entry = await store.get(key, { signal });
      const misread = entry && misreadOf(key, entry.value);
      if (entry && !misread && encodeClusterConfig(decodeClusterConfig(key, entry.value)) !== known)
        throw new ConfigChangedError(this.name);
      if (this.#configMissing === (entry === undefined) && misread?.message === this.#misread?.message) continue;
      this.#configMissing = entry === undefined;
      this.#misread = misread;
      if (!entry) this.#log.warn('The configuration of a remote cluster has gone: what is copied of it stays for now');
      if (misread)
        this.#log.warn('The configuration of a remote cluster cannot be read: it is copied on by the one before', {
          [fields.error]: misread,
          [fields.hint]: hintFor(misread),
        });
      this.#deps.onChange();
    }
  }

  /** What was held back is settled whether there is a connection or not; so is the end of the cache's time. */
  async #settleForever(signal: AbortSignal): Promise<void> {
    const isUnsettled = (): boolean => this.#expired || this.#reflectors.some(({ held }) => held > 0);
    for (;;) {
      await this.#unsettled.until(isUnsettled, signal);
      await this.#deps.clock.sleep(settleMs, signal);
      try {
        if (this.#expired) await this.#revoke(signal);
        for (const reflector of this.#reflectors) if (reflector.held > 0) await this.#settle(reflector, signal);
      } catch (error) {
        if (signal.aborted || error instanceof LeadershipLostError) throw error;
        this.#log.debug('Cannot settle what was held back yet', { [fields.error]: error });
      }
    }
  }

  async #settle(reflector: Reflector, signal: AbortSignal): Promise<void> {
    const judge = this.#judge;
    const heldFrom = reflector.heldFrom ?? 0;
    const isBack = judge !== undefined && (await judge.isBack(reflector.resource, heldFrom, signal).catch(() => false));
    const { leaseLossGraceMs } = this.#options;
    await reflector.settleHeld(leaseLossGraceMs, isBack ? (keys) => judge.areGone(keys, signal) : undefined, signal);
    if (reflector.held === 0) this.#deps.onChange();
  }

  /** Services only (clustermesh-behaviour §7): without nodes, identities and addresses even what works would stop. */
  async #revoke(signal: AbortSignal): Promise<void> {
    let count = 0;
    for (const reflector of this.#reflectors)
      if (revoked.has(reflector.resource)) count += await reflector.revoke(signal);
    this.#expired = false;
    this.#revocations += 1;
    this.#log.warn('Remote cluster is away for too long: its services were taken out of the cache', {
      [fields.count]: count,
    });
  }

  #startTtl(): void {
    const { cacheTtlMs } = this.#options;
    if (cacheTtlMs > 0 && this.#everConnected)
      this.#ttl ??= this.#deps.clock.timer(cacheTtlMs, () => {
        this.#expired = true;
        this.#unsettled.notify();
      });
  }

  #stopTtl(): void {
    this.#ttl?.[Symbol.dispose]();
    this.#ttl = undefined;
    this.#expired = false;
  }

  #failed(error: unknown, failures: number, delayMs: number): void {
    this.#failures++;
    this.#failure = error;
    this.#lastFailureMs = this.#deps.clock.now();
    this.#log.warn('Connection to a remote cluster failed', {
      [fields.error]: error,
      [fields.attempt]: failures,
      [fields.delayMs]: Math.round(delayMs),
      [fields.hint]: hintFor(error),
    });
    this.#deps.onChange();
  }
}

function messageOf(error: unknown): string | undefined {
  return error instanceof Error ? error.message : undefined;
}

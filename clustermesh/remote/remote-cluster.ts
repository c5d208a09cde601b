import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { linear, retry } from '../../runtime/retry/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import type { MaxConnectedClusters } from '../../values/identity/index.ts';
import type { Store, StoreHealth } from '../../kvstore/index.ts';
import { OwnSpace } from '../acceptance/index.ts';
import { type PeerConfig, type PeerPolicy, checkPeerId, policyOf } from '../peers/index.ts';
import type { ClusterContent, Recollection, Rememberable } from '../remembered/index.ts';
import type { ServiceTable } from '../services/index.ts';
import type { MeshView } from '../view/index.ts';
import {
  type ClusterConfigRecord,
  type Layout,
  type ServiceMode,
  checkClusterConfig,
  syncedPrefix,
} from '../wire/index.ts';
import { ClaimRules } from './claim-rules.ts';
import type { ClusterIds } from './cluster-ids.ts';
import { ConfigPresence } from './config-presence.ts';
import { ClusterConfigMissingError, LeaseLostError, hintFor } from './errors.ts';
import { faultOf } from './fault.ts';
import { FeedSource } from './feed-source.ts';
import { Feeds } from './feeds.ts';
import type { CopyState } from './copy-report-reader.ts';
import type { CopyReports } from './copy-reports.ts';
import { Heartbeat } from './heartbeat.ts';
import { type RemoteKind, kindsOf, remoteKinds } from './kinds.ts';
import { Knowledge } from './knowledge.ts';
import { heartbeatLimitMs } from './last-beat.ts';
import { withLiveStore } from './live-store.ts';
import { LostLease } from './lost-lease.ts';
import { type FoundClusterConfig, findClusterConfig } from './read-cluster-config.ts';
import { Refusals } from './refusals.ts';
import { RemovalGate } from './removal-gate.ts';
import { type RemoteCertificate, type RemoteClusterStatus, statusOf } from './status.ts';
import { SyncMarks } from './sync-marks.ts';
import type { SyncSlots } from './sync-slots.ts';
import { wentWithLease } from './went-with-lease.ts';

export interface RemoteClusterOptions {
  /** The name by which it is configured here; its records must bear it. */
  readonly name: string;
  readonly own: { readonly cluster: string; readonly clusterId: number };
  readonly maxConnectedClusters?: MaxConnectedClusters;
  /** Which form of services is read; `prefer-legacy` unless told. */
  readonly serviceMode?: ServiceMode;
  /** How long records are kept whose writer has lost its lease in a store that lives; a day unless told, 0: for ever. */
  readonly lostLeaseGraceMs?: number;
}

export interface RemoteClusterDeps {
  /** Opens the store that a configuration names. Throws when the configuration is no good. */
  readonly openStore: (config: PeerConfig) => Store | Promise<Store>;
  /** By which certificate we are known there; undefined where there is none. */
  readonly certificateOf?: (config: PeerConfig) => Promise<RemoteCertificate | undefined>;
  readonly view: MeshView;
  readonly services: ServiceTable;
  /** Which addresses are ours, so that no other cluster may claim them. */
  readonly ownSpace?: OwnSpace;
  readonly ids: ClusterIds;
  readonly slots: SyncSlots;
  /** What is known of copies: where a kvstoremesh stands between, the heartbeat that is heard is not the remote's. */
  readonly copies?: Pick<CopyReports, 'of' | 'follow'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after every change of the status. */
  readonly onChange?: () => void;
  /** A remote that is connected has not shown a heartbeat for too long. */
  readonly onSilence?: () => void;
}

const certificateMs = 60_000;
/** Silence of a writer is not the end of what it wrote about: a day for somebody to bring it back. */
const defaultGraceMs = 86_400_000;

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
  readonly #claims: ClaimRules;
  readonly #refusals = new Refusals();
  readonly #source = new FeedSource();
  readonly #knowledge: Knowledge;
  readonly #lostLease: LostLease;
  readonly #removals: RemovalGate;
  #policy: PeerPolicy = {};
  #feeds: Feeds | undefined;
  #clusterId: number | undefined;
  #config: ClusterConfigRecord | undefined;
  #configLeased = false;
  #certificate: RemoteCertificate | undefined;
  /** Of the present connection, else of the last one. */
  #health: (() => StoreHealth) | undefined;
  #heard = false;
  #withdrawn = false;
  #changes = 0;
  #failures = 0;
  #lastFailureMs: number | undefined;
  #failure: unknown;
  #presence: ConfigPresence | undefined;

  constructor(options: RemoteClusterOptions, deps: RemoteClusterDeps) {
    this.name = options.name;
    this.#options = options;
    this.#deps = deps;
    this.#log = deps.log.child({ [fields.cluster]: options.name });
    this.#heartbeat = new Heartbeat(deps.clock);
    this.#knowledge = new Knowledge(deps.clock);
    this.#removals = new RemovalGate(this.#heartbeat, deps.clock, this.#log);
    // What was let in, and what was refused, is looked at again.
    this.#claims = new ClaimRules(deps.ownSpace ?? new OwnSpace(), (looser) => this.#feeds?.revise(looser));
    this.#lostLease = new LostLease(deps.clock, options.lostLeaseGraceMs ?? defaultGraceMs, () => this.#withdraw());
  }

  /** True once every kind was listed completely in this process. */
  get known(): boolean {
    return this.#knowledge.known;
  }

  get clusterId(): number | undefined {
    return this.#clusterId;
  }

  get changes(): number {
    return this.#changes;
  }

  get current(): boolean {
    return this.#heard && this.#health?.().connected === true && this.#feeds?.synced === true;
  }

  /** Everything that it told was taken back, since it was lost for too long. */
  get withdrawn(): boolean {
    return this.#withdrawn;
  }

  /**
   * True while this cluster may have told an earlier life what nobody knows now: what the kernel holds of it must then
   * not be judged by what is known.
   */
  get lost(): boolean {
    return this.#knowledge.lost !== undefined;
  }

  content(): ClusterContent {
    if (!this.#config || !this.#feeds) throw new TypeError(`Nothing was read of ${this.name} that could be remembered`);
    return { config: this.#config, kinds: this.#feeds.content() };
  }

  /** Takes over what an earlier life knew, as if an earlier connection had told it. Before the first `run` only. */
  recall(found: Recollection): void {
    if (found.state === 'lost') this.#knowledge.lose(found.reason);
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
    this.#feeds = this.#makeFeeds(config);
    for (const { kind, key, value } of records) this.#feeds.assume(kind, key, value);
    this.#knowledge.recall({ asOfMs, records: records.length, leftOut });
    if (leftOut.includes('services') || leftOut.includes('endpointslices'))
      this.#knowledge.lose('its services were too many to be kept');
    this.#log.info('Serving a remote cluster from what was remembered, until it can be read', {
      [fields.count]: records.length,
      ageSeconds: this.#knowledge.recalledAgeSeconds,
    });
  }

  /** Connects and follows until `signal` aborts. May be called again, with another configuration, once it has ended. */
  async run(config: PeerConfig, signal: AbortSignal): Promise<void> {
    await using tasks = new TaskGroup(signal);
    tasks.run((running) => this.#claims.follow(running));
    tasks.run((running) => this.#followCertificate(config, running));
    tasks.run((running) => this.#removals.run(() => this.#feeds?.listAgain(), running));
    tasks.run((running) => this.#connectAgainAndAgain(config, running));
    await tasks.wait();
  }

  /** Withdraws all that the cluster has told and gives its id back. Not while `run` is under way. */
  drain(): void {
    this.#drainFeeds();
    this.#lostLease.end();
    if (this.#clusterId !== undefined) this.#deps.ids.release(this.#clusterId, this.name);
    this.#clusterId = undefined;
    this.#config = undefined;
    this.#knowledge.endLoss();
  }

  status(): RemoteClusterStatus {
    const health = this.#health?.();
    const connected = this.#heard && health?.connected === true;
    const copies = this.#copies(health);
    const behind = copies?.state === 'behind' ? copies : undefined;
    const stale = this.#stale() || behind?.stale === true;
    const misread = connected ? this.#presence?.misread : undefined;
    const isFollowed = connected && this.#config !== undefined && this.#feeds?.synced === true;
    const ready = isFollowed && !stale && !behind && !misread;
    const awaited = connected && this.#config ? this.#feeds?.awaited : undefined;
    const own = misread ?? this.#failure;
    const { failure, hint } = faultOf({ ready, own, health, behind: behind?.reason, awaited });
    return statusOf({
      name: this.name,
      ready,
      connected,
      stale,
      known: this.known,
      size: (kind) => this.#size(kind),
      synced: (kind) => this.#isSynced(kind),
      failures: this.#failures,
      lastFailureMs: this.#lastFailureMs,
      failure,
      hint,
      words: this.#words(connected),
      config: this.#config,
      heartbeatAgeMs: this.#heartbeat.ageMs,
      dataAgeMs: ready ? 0 : this.#dataAgeMs(behind?.ageMs),
      copies,
      recalled: this.#knowledge.recalled,
      lost: this.#knowledge.lost,
      lease: { ageMs: this.#lostLease.ageMs, leftMs: this.#lostLease.leftMs, withdrawn: this.#withdrawn },
      refusals: this.#refusals,
      certificate: this.#certificate,
    });
  }

  async #connectAgainAndAgain(config: PeerConfig, signal: AbortSignal): Promise<void> {
    await retry((attempt) => this.#attempt(config, attempt), {
      clock: this.#deps.clock,
      signal,
      // Many agents lose a remote at the same moment, and one agent all of its remotes: they come back one by one.
      schedule: linear({ stepMs: 1000, maxMs: 30_000, jitter: 0.5 }),
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

  async #attempt(config: PeerConfig, signal: AbortSignal): Promise<void> {
    this.#policy = policyOf(config);
    this.#claims.allow(this.#policy.allowedCidrs);
    await using store = await this.#deps.openStore(config);
    this.#health = () => store.health();
    this.#heard = false;
    this.#feeds?.begin();
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
      if (this.current) this.#knowledge.endFollowing();
      this.#health = () => last;
      this.#heard = false;
      this.#deps.onChange?.();
    }
  }

  async #use(store: Store, tasks: TaskGroup, signal: AbortSignal): Promise<void> {
    const found = await this.#readConfig(store, signal);
    this.#configLeased = found.leased;
    const feeds = this.#adopt(found.config);
    const { clock, onChange, copies } = this.#deps;
    const presence = new ConfigPresence({ store, log: this.#log, onChange }, this.name, found, signal);
    this.#presence = presence;
    this.#source.use(store, async (together) => {
      await presence.confirm();
      for (const one of together) if (await wentWithLease(store, one, signal)) this.#removals.hold();
    });
    tasks.run((watching) => presence.follow(clock, watching));
    if (copies && found.config.cached && !found.leased) tasks.run((watching) => copies.follow(store, watching));
    const canaries = found.config.syncedCanaries ? new SyncMarks(syncedPrefix(this.name)) : undefined;
    if (canaries) tasks.run((watching) => canaries.follow(store, watching));
    for (const task of feeds.tasks(canaries)) tasks.run(task);
  }

  #readConfig(store: Store, signal: AbortSignal): Promise<FoundClusterConfig> {
    const onFailure = (error: unknown): void => {
      this.#failure = error;
      this.#noteLostLease(error);
      this.#log.warn('Cannot read the configuration of a remote cluster', {
        [fields.error]: error,
        [fields.hint]: hintFor(error),
      });
    };
    return findClusterConfig(store, { cluster: this.name, clock: this.#deps.clock, onFailure }, signal);
  }

  /** Takes over what the cluster says of itself. A new id makes all that it told under the old one void. */
  #adopt(config: ClusterConfigRecord): Feeds {
    this.#check(config);
    const before = this.#clusterId;
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
    this.#withdrawn = false;
    this.#lostLease.end();
    const old = this.#feeds;
    const kinds = kindsOf(this.#serviceMode, config.endpointSlicesExportMode);
    if (!kinds.includes('services') && !kinds.includes('endpointslices'))
      this.#log.error('A remote cluster has no backends for us: it does not export EndpointSlices', {
        [fields.hint]: 'Let it export them (Cilium 1.20), or use --clustermesh-service-v2=prefer-legacy here',
      });
    if (old?.options.layout === layoutOf(config) && String(old.options.kinds) === String(kinds)) return old;
    // The same records under other keys: what was known under the old ones is judged by the listing of the new ones.
    const told = old?.content() ?? [];
    const feeds = this.#makeFeeds(config);
    old?.drainUnless(kinds);
    this.#feeds = feeds;
    for (const { kind, records } of told) for (const { key, value } of records) feeds.assume(kind, key, value);
    return feeds;
  }

  #check(config: ClusterConfigRecord): void {
    const { own, maxConnectedClusters = 255 } = this.#options;
    checkClusterConfig(this.name, config, { clusterId: own.clusterId, maxConnectedClusters });
    checkPeerId(this.#policy, config);
  }

  #makeFeeds(config: ClusterConfigRecord): Feeds {
    const { maxConnectedClusters = 255 } = this.#options;
    const { view, services, slots } = this.#deps;
    return new Feeds(
      {
        origin: { cluster: this.name, clusterId: config.id, maxConnectedClusters },
        layout: layoutOf(config),
        kinds: kindsOf(this.#serviceMode, config.endpointSlicesExportMode),
      },
      {
        view,
        services,
        slots,
        source: this.#source,
        refusals: this.#refusals,
        rules: () => this.#claims.rules,
        mayRemove: () => this.#removals.believed(),
        log: this.#log,
        changed: (count) => void (this.#changes += count),
        listed: () => this.#listed(),
      },
    );
  }

  async #followCertificate(config: PeerConfig, signal: AbortSignal): Promise<void> {
    const { certificateOf, clock } = this.#deps;
    for (;;) {
      // What is wrong with the files is said by the connection that needs them.
      this.#certificate = await certificateOf?.(config).catch(() => undefined);
      await clock.sleep(certificateMs, signal);
    }
  }

  #listed(): void {
    if (this.#feeds?.synced) {
      if (!this.known) this.#log.info('Remote cluster is synced');
      this.#knowledge.complete();
      this.#failure = undefined;
    }
    this.#deps.onChange?.();
  }

  #failed(error: unknown): void {
    this.#failures++;
    this.#failure = error;
    this.#lastFailureMs = this.#deps.clock.now();
    this.#noteLostLease(error);
    this.#deps.onChange?.();
  }

  #noteLostLease(error: unknown): void {
    const gone = error instanceof LeaseLostError || error instanceof ClusterConfigMissingError;
    if (gone && this.#feeds) this.#lostLease.begin();
  }

  /** The grace is over. Nothing is followed at such a time: what there was to follow has gone. */
  #withdraw(): void {
    this.#log.warn('Withdrawing what a remote cluster told: its lease has been lost for too long', {
      [fields.count]: remoteKinds.reduce((sum, kind) => sum + this.#size(kind), 0),
    });
    this.#drainFeeds();
    this.#withdrawn = true;
    this.#deps.onChange?.();
  }

  #drainFeeds(): void {
    this.#feeds?.drain();
    this.#feeds = undefined;
    this.#knowledge.forget();
  }

  /** Undefined of a cluster that is read where it writes. */
  #copies(health: StoreHealth | undefined): CopyState | undefined {
    if (this.#config?.cached !== true) return undefined;
    const copy = health && { store: health, leased: this.#configLeased };
    return (copy && this.#deps.copies?.of(this.name, copy)) ?? { state: 'unknown' };
  }

  #stale(): boolean {
    if (this.#heartbeat.stale || this.#lostLease.ageMs !== undefined) return true;
    return this.#heartbeat.ageMs === undefined && this.#knowledge.recalledAgeSeconds * 1000 > heartbeatLimitMs;
  }

  /** How old what is known may be: since it was last followed, or since its writer was last heard of. */
  #dataAgeMs(copiedAgeMs: number | undefined): number | undefined {
    const ages: number[] = [];
    if (this.#feeds && this.#heartbeat.stale) ages.push(this.#heartbeat.ageMs ?? 0);
    if (this.#feeds && copiedAgeMs !== undefined) ages.push(copiedAgeMs);
    return this.#knowledge.ageMs(this.current, ages);
  }

  /** What is not read counts as listed once the others were asked for; undefined where that is nobody's business. */
  #isSynced(kind: RemoteKind): boolean | undefined {
    const feeds = this.#feeds;
    if (!feeds) return kind === 'endpointslices' && this.#serviceMode === 'prefer-legacy' ? undefined : false;
    if (feeds.options.kinds.includes(kind)) return feeds.isSynced(kind);
    if (kind === 'endpointslices' && this.#serviceMode === 'prefer-legacy') return undefined;
    return this.current;
  }

  get #serviceMode(): ServiceMode {
    return this.#options.serviceMode ?? 'prefer-legacy';
  }

  #size(kind: RemoteKind): number {
    return this.#feeds?.size(kind) ?? 0;
  }

  #words(connected: boolean): string {
    const health = this.#health?.();
    const { recalled } = this.#knowledge;
    if (recalled) return `Not read yet, served from what was remembered ${recalled.ageSeconds} s ago`;
    if (!health) return 'Waiting for initial connection to be established';
    const store = health.storeId === undefined ? '' : `, ID: ${health.storeId}`;
    return `etcd: ${connected ? '1/1 connected' : '0/1 connected'}, ${health.endpoint}${store}`;
  }
}

function layoutOf(config: ClusterConfigRecord): Layout {
  return config.cached ? 'cache' : 'state';
}

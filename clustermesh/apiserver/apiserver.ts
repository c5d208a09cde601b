import { IdentityAllocator, WatchStore, toText } from '../../kvstore/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import { identityRange } from '../../values/identity/index.ts';
import { type SourceProblem, mayDescribe } from '../../kubernetes/index.ts';
import {
  type OwnKind,
  type Resource,
  clusterConfigKey,
  encodeClusterConfig,
  encodeTime,
  heartbeatKey,
  hiddenIdentityPrefix,
  ownSetPrefix,
  ownSyncedKey,
  ownSyncedPrefix,
  syncedKey,
  syncedPrefix,
  watchPrefix,
} from '../wire/index.ts';
import { beat, guardKey } from './beat.ts';
import { KnownObjects } from './known-objects.ts';
import { type ApiserverOptions, checkApiserverOptions } from './options.ts';
import { OwnSetGate } from './own-set-gate.ts';
import { Publisher } from './publisher.ts';
import type { ApiserverStatus } from './status.ts';
import { type Channel, openChannels } from './sync-channels.ts';
import { unitOfKey } from './unit-of-key.ts';
import { type UnitKind, needs } from './units.ts';
import { Wake } from './wake.ts';

/** A canary, and what must be complete before it is written. */
interface Milestone {
  readonly key: string;
  readonly scope: string;
  readonly unit: UnitKind;
  /** Keys that belong to it, to be stored and swept first. */
  readonly channel?: Channel;
  /** Its keys are the agents': all of them must have said so. */
  readonly gated?: boolean;
}

/** How often a source with problems is asked whether it still has them. */
const problemPollMs = 1_000;

const ownKindOf: Readonly<Record<Exclude<UnitKind, 'shared'>, OwnKind>> = {
  Service: 'services',
  EndpointSlice: 'endpoints',
  Namespace: 'namespaces',
  Node: 'nodes',
  Pod: 'workloads',
};

/**
 * Kubernetes → store, for one cluster: everything that the cluster says of itself and that is not the agents' to say. It
 * starts nothing before {@link run}; an orderly stop withdraws nothing.
 */
export class Apiserver implements AsyncDisposable {
  readonly #options: ApiserverOptions;
  readonly #log: Logger;
  readonly #objects = new KnownObjects();
  readonly #channels: ReturnType<typeof openChannels>;
  readonly #allocator: IdentityAllocator;
  readonly #publisher: Publisher;
  readonly #gate: OwnSetGate;
  readonly #wake = new Wake();
  readonly #milestones: readonly Milestone[];
  readonly #written = new Set<string>();
  #ownSetsListed = false;
  #startedMs = 0;
  #lastHeartbeat = '';

  constructor(options: ApiserverOptions) {
    checkApiserverOptions(options);
    const { clusterName, clusterId, store, clock, metrics } = options;
    this.#options = options;
    this.#log = options.log.child({ [fields.component]: 'apiserver', [fields.cluster]: clusterName });
    const log = this.#log;
    const leaseTtlSeconds = options.leaseTtlSeconds ?? 900;
    this.#channels = openChannels({ clusterName, store, clock, log, leaseTtlSeconds, ...(metrics ? { metrics } : {}) });
    this.#allocator = new IdentityAllocator({
      store,
      prefix: watchPrefix('identities', clusterName),
      hiddenPrefix: hiddenIdentityPrefix,
      range: identityRange(clusterId, options.maxConnectedClusters),
      clock,
      log,
      ...(options.identityGraceMs === undefined ? {} : { graceMs: options.identityGraceMs }),
    });
    const { shared, Service, EndpointSlice, Namespace, Node, Pod } = this.#channels;
    this.#publisher = new Publisher({
      cluster: { name: clusterName, id: clusterId },
      objects: this.#objects,
      channels: {
        shared: shared.sync,
        Service: Service.sync,
        EndpointSlice: EndpointSlice.sync,
        Namespace: Namespace.sync,
        Node: Node.sync,
        Pod: Pod.sync,
      },
      allocator: this.#allocator,
      problems: () => this.#problems(),
      stored: async (key, signal) => {
        const entry = await store.get(key, { signal });
        return entry && toText(entry.value);
      },
      clock,
      log,
      idle: () => this.#wake.notify(),
    });
    this.#gate = new OwnSetGate({ clock, silentAfterMs: options.silentNodeMs ?? 300_000 });
    this.#milestones = this.#milestonesOf(clusterName);
  }

  /** True once every canary is written. */
  get ready(): boolean {
    return this.#written.size === this.#milestones.length;
  }

  /** Publishes until `signal` aborts. @throws when the store cannot be read or was closed. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, clusterName, store } = this.#options;
    this.#startedMs = clock.monotonicMs();
    const loading = { clock, signal, schedule: exponential({ firstMs: 50, maxMs: 5_000 }) };
    await retry((attempt) => this.#allocator.load(attempt), {
      ...loading,
      onFailure: (error) => this.#log.warn('Cannot read the identities, will be repeated', { [fields.error]: error }),
    });
    const { meta } = this.#channels;
    using _refreshing = this.#countSkipped();
    await using tasks = new TaskGroup(signal);
    for (const { sync } of Object.values(this.#channels)) tasks.run((running) => sync.run(running));
    tasks.run((running) => this.#allocator.run(running));
    tasks.run((running) => this.#publisher.run(running));
    tasks.run((running) =>
      guardKey(
        clusterConfigKey(clusterName),
        this.#clusterConfig(),
        { store, clock, log: this.#log, sync: meta.sync },
        running,
      ),
    );
    tasks.run((running) => this.#beat(running));
    tasks.run((running) => this.#followOwnSets(running));
    tasks.run((running) => this.#followSource(running));
    tasks.run((running) => this.#finishAll(running));
    tasks.run((running) => this.#tend(running));
    await tasks.wait();
  }

  status(): ApiserverStatus {
    const { clusterName, clusterId, source, store } = this.#options;
    const health = store.health();
    return {
      clusterName,
      clusterId,
      source: source.description,
      ready: this.ready,
      synced: Object.fromEntries(source.kinds.map((kind) => [kind, this.#objects.isSynced(kind)])),
      counts: {
        nodes: this.#publisher.count('Node'),
        endpoints: this.#publisher.count('Pod'),
        identities: this.#allocator.referenced,
        services: this.#publisher.count('shared'),
        localServices: this.#publisher.count('Service'),
        namespaces: this.#publisher.count('Namespace'),
      },
      canaries: [...this.#written].toSorted(),
      waitingFor: this.#waitingFor(),
      silentNodes: this.#gate.silent(),
      lastHeartbeat: this.#lastHeartbeat,
      queued: Object.values(this.#channels).reduce((sum, { sync }) => sum + sync.queued, 0),
      errors: [
        ...this.#problems().map(({ object, reason }) => ({ object, reason })),
        ...[...this.#publisher.skipped]
          .map(([object, reason]) => ({ object, reason }))
          .toSorted((a, b) => (a.object < b.object ? -1 : 1)),
      ],
      store: {
        connected: health.connected,
        endpoint: health.endpoint,
        ...(health.error === undefined ? {} : { error: health.error }),
        ...(health.lostSinceMs === undefined ? {} : { lostSinceMs: health.lostSinceMs }),
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { sync } of Object.values(this.#channels)) await sync[Symbol.asyncDispose]();
  }

  #countSkipped(): Disposable | undefined {
    const { metrics } = this.#options;
    const skipped = metrics?.gauge({ name: 'apiserver_skipped_objects', help: 'Objects left out as not valid' });
    return metrics?.onScrape(() => skipped?.set(this.status().errors.length));
  }

  #milestonesOf(cluster: string): Milestone[] {
    const mesh = (resource: Resource, rest: Omit<Milestone, 'key' | 'scope'>): Milestone => ({
      key: syncedKey(cluster, resource),
      scope: `${resource}/v1`,
      ...rest,
    });
    return [
      ...Object.entries(ownKindOf).map(([unit, kind]) => {
        const channel = this.#channels[unit as keyof typeof ownKindOf];
        return { key: ownSyncedKey(kind), scope: channel.scope, unit: unit as UnitKind, channel };
      }),
      mesh('services', { unit: 'shared', channel: this.#channels.shared }),
      mesh('identities', { unit: 'Pod' }),
      mesh('nodes', { unit: 'Node', gated: true }),
      mesh('ip', { unit: 'Node', gated: true }),
    ];
  }

  /** Advertises what is exported and nothing else: service exports and EndpointSlices are not (kvstore-schema §2). */
  #clusterConfig(): string {
    const { clusterId, maxConnectedClusters = 255 } = this.#options;
    return encodeClusterConfig({ id: clusterId, syncedCanaries: true, cached: false, maxConnectedClusters });
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    await beat(
      (value) => {
        this.#lastHeartbeat = value;
        this.#channels.meta.sync.set(heartbeatKey, value);
      },
      clock,
      signal,
    );
  }

  async #followSource(signal: AbortSignal): Promise<void> {
    const { source, clock } = this.#options;
    const follow = async (running: AbortSignal): Promise<never> => {
      this.#objects.restart();
      for await (const event of source.watch(running)) {
        this.#publisher.look(this.#objects.apply(event));
        if (event.type === 'synced') this.#publisher.release();
        if (event.type === 'synced' || (event.type === 'upsert' ? event.object.kind : event.kind) === 'Node')
          this.#expectNodes();
      }
      running.throwIfAborted();
      throw new Error(`The source ${source.description} has ended`);
    };
    await retry(follow, {
      clock,
      signal,
      schedule: exponential({ firstMs: 200, maxMs: 10_000 }),
      onFailure: (error) => this.#log.warn('Cannot follow the source, will be repeated', { [fields.error]: error }),
    });
  }

  #expectNodes(): void {
    if (!this.#objects.isSynced('Node')) return;
    this.#gate.expect(
      [...this.#objects.all('Node')].filter((node) => node.status.ready).map((node) => node.metadata.name),
    );
    this.#wake.notify();
  }

  async #followOwnSets(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#options;
    const note = (node: string, complete: boolean): void => {
      this.#gate.own(node, complete);
      this.#wake.notify();
    };
    const watch = new WatchStore({
      store,
      prefix: ownSetPrefix,
      log: this.#log,
      observer: {
        upsert: (node) => note(node, true),
        remove: (node) => note(node, false),
        synced: () => {
          this.#ownSetsListed = true;
          this.#wake.notify();
        },
      },
    });
    await retry((attempt) => watch.run(attempt), {
      clock,
      signal,
      schedule: exponential({ firstMs: 50, maxMs: 5_000 }),
    });
  }

  #problems(): readonly SourceProblem[] {
    return this.#options.source.problems?.() ?? [];
  }

  /** Writes each canary as soon as its set is complete, in whatever order that happens. */
  async #finishAll(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    await using finishing = new TaskGroup(signal);
    const started = new Set<string>();
    const held = new Set<string>();
    const start = (milestone: Milestone, finish: (running: AbortSignal) => Promise<void>): void => {
      finishing.run((running) =>
        retry(finish, {
          clock,
          signal: running,
          schedule: exponential({ firstMs: 50, maxMs: 5_000 }),
          onFailure: (error) =>
            this.#log.warn('Cannot write a canary, will be repeated', {
              [fields.key]: milestone.key,
              [fields.error]: error,
            }),
        }),
      );
    };
    while (started.size < this.#milestones.length) {
      // What was kept for want of knowledge is decided on first: a canary does not speak of the past.
      this.#publisher.reconsider();
      for (const milestone of this.#milestones) {
        if (started.has(milestone.key) || !this.#isComplete(milestone)) continue;
        if (!this.#isDoubtful(milestone)) {
          started.add(milestone.key);
          start(milestone, (running) => this.#finish(milestone, running));
        } else if (!held.has(milestone.key)) {
          held.add(milestone.key);
          start(milestone, (running) => this.#hold(milestone, running));
        }
      }
      const dueMs = this.#nextLookMs();
      using _timer = dueMs === undefined ? undefined : clock.timer(dueMs, () => this.#wake.notify());
      if (started.size < this.#milestones.length) await this.#wake.next(signal);
    }
    await finishing.wait();
    await this.#allWritten(signal);
  }

  #isComplete({ unit, gated }: Milestone): boolean {
    if (!this.#publisher.settled(unit)) return false;
    return !gated || (this.#ownSetsListed && this.#gate.waitingFor().length === 0);
  }

  /** True while something that belongs to the set may be in what the source could not read. */
  #isDoubtful({ unit }: Milestone): boolean {
    const problems = this.#problems();
    return needs[unit].some((kind) => mayDescribe(problems, { kind }));
  }

  /** A source does not say when a problem is over: it is asked. */
  #nextLookMs(): number | undefined {
    const due = this.#gate.nextChangeMs();
    return this.#problems().length === 0 ? due : Math.min(problemPollMs, due ?? problemPollMs);
  }

  async #finish({ key, scope, unit, channel }: Milestone, signal: AbortSignal): Promise<void> {
    const { clock, clusterName, metrics } = this.#options;
    if (channel) await this.#sweep(unit, channel, signal);
    const { sync } = this.#channels.meta;
    sync.set(key, encodeTime(clock.now()));
    await sync.synced(signal);
    this.#written.add(key);
    this.#log.info('A set is complete', { [fields.key]: key });
    metrics
      ?.gauge({
        name: 'kvstore_initial_sync_completed',
        help: 'Whether the first listing of a set has been written',
        labels: ['scope', 'source_cluster', 'action'],
      })
      .set(1, { scope, source_cluster: clusterName, action: 'write' });
  }

  /**
   * The set could not be read completely. What an earlier life left of it goes on under our lease, and so does its canary:
   * that life had read the set. A canary of our own has to wait.
   */
  async #hold(milestone: Milestone, signal: AbortSignal): Promise<void> {
    const { key, unit, channel } = milestone;
    this.#log.warn('A set is not complete: the source could not be read completely', { [fields.key]: key });
    if (channel) await this.#sweep(unit, channel, signal);
    const before = await this.#options.store.get(key, { signal });
    // Meanwhile it may have been completed.
    if (before && this.#isDoubtful(milestone) && !this.#written.has(key))
      this.#channels.meta.sync.set(key, before.value.slice());
  }

  /** Takes away what an earlier life left, and takes over what may not be taken away. Nobody else writes under the prefix. */
  async #sweep(kind: UnitKind, { prefix, sync }: Channel, signal: AbortSignal): Promise<void> {
    await sync.synced(signal);
    await sync.sweep(
      prefix,
      (key, { value }) => {
        const unit = unitOfKey(kind, key.slice(prefix.length));
        if (!unit || !this.#publisher.isUncertain(unit)) return true;
        this.#publisher.keep(unit, key, value.slice());
        return false;
      },
      signal,
    );
    await sync.synced(signal);
  }

  async #allWritten(signal: AbortSignal): Promise<void> {
    const { clock, clusterName, metrics } = this.#options;
    const { sync } = this.#channels.meta;
    // Canaries of sets that an earlier version exported would promise what nobody keeps up.
    await sync.sweep(syncedPrefix(clusterName), () => true, signal);
    await sync.sweep(ownSyncedPrefix, () => true, signal);
    this.#collectIdentities();
    metrics
      ?.gauge({ name: 'bootstrap_seconds', help: 'Time from start until every set was complete' })
      .set((clock.monotonicMs() - this.#startedMs) / 1_000);
  }

  /** Every reference must be known: what was kept of a pod refers to a number that nobody has asked for in this life. */
  #collectIdentities(): void {
    if (this.ready && ![...this.#publisher.kept.values()].some(({ kind }) => kind === 'Pod'))
      this.#allocator.startCollecting();
  }

  async #tend(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#options.clock.sleep(60_000, signal);
      this.#publisher.retryIdentities();
      this.#publisher.reconsider();
      this.#collectIdentities();
    }
  }

  #waitingFor(): string[] {
    const { kinds: followed } = this.#options.source;
    const kinds = followed.filter((kind) => !this.#objects.isSynced(kind)).map((kind) => `listing of ${kind}`);
    const nodes = this.#written.has(syncedKey(this.#options.clusterName, 'ip'))
      ? []
      : this.#gate.waitingFor().map((node) => `own-set of node ${node}`);
    const open = this.#milestones.some(({ key }) => !this.#written.has(key));
    const unread = open ? this.#problems().map(({ object, reason }) => `${object}: ${reason}`) : [];
    return [...kinds, ...nodes, ...unread];
  }
}

/** Runs an apiserver for as long as `signal` lets it. `started` gets it, for its status. */
export async function runApiserver(
  options: ApiserverOptions & { readonly started?: (apiserver: Apiserver) => void },
  signal: AbortSignal,
): Promise<void> {
  await using apiserver = new Apiserver(options);
  options.started?.(apiserver);
  await apiserver.run(signal);
}

import { IdentityAllocator, WatchStore } from '../../kvstore/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import { identityRange } from '../../values/identity/index.ts';
import { allKinds } from '../../kubernetes/index.ts';
import {
  type OwnKind,
  type Resource,
  clusterConfigKey,
  encodeClusterConfig,
  encodeTime,
  heartbeatKey,
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
import type { UnitKind } from './units.ts';
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
      synced: Object.fromEntries(allKinds.map((kind) => [kind, this.#objects.isSynced(kind)])),
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
        ...(source.problems?.() ?? []),
        ...[...this.#publisher.skipped]
          .map(([object, reason]) => ({ object, reason }))
          .toSorted((a, b) => (a.object < b.object ? -1 : 1)),
      ],
      store: {
        connected: health.connected,
        endpoint: health.endpoint,
        ...(health.error === undefined ? {} : { error: health.error }),
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

  /** Writes each canary as soon as its set is complete, in whatever order that happens. */
  async #finishAll(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    await using finishing = new TaskGroup(signal);
    const started = new Set<string>();
    while (started.size < this.#milestones.length) {
      for (const milestone of this.#milestones) {
        if (started.has(milestone.key) || !this.#isComplete(milestone)) continue;
        started.add(milestone.key);
        finishing.run((running) =>
          retry((attempt) => this.#finish(milestone, attempt), {
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
      }
      const dueMs = this.#gate.nextChangeMs();
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

  async #finish({ key, scope, channel }: Milestone, signal: AbortSignal): Promise<void> {
    const { clock, clusterName, metrics } = this.#options;
    if (channel) {
      await channel.sync.synced(signal);
      // Nobody else writes under this prefix: what is not wished is of an earlier life.
      await channel.sync.sweep(channel.prefix, () => true, signal);
    }
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

  async #allWritten(signal: AbortSignal): Promise<void> {
    const { clock, clusterName, metrics } = this.#options;
    const { sync } = this.#channels.meta;
    // Canaries of sets that an earlier version exported would promise what nobody keeps up.
    await sync.sweep(syncedPrefix(clusterName), () => true, signal);
    await sync.sweep(ownSyncedPrefix, () => true, signal);
    this.#allocator.startCollecting();
    metrics
      ?.gauge({ name: 'bootstrap_seconds', help: 'Time from start until every set was complete' })
      .set((clock.monotonicMs() - this.#startedMs) / 1_000);
    for (;;) {
      await clock.sleep(60_000, signal);
      this.#publisher.retryIdentities();
    }
  }

  #waitingFor(): string[] {
    const kinds = allKinds.filter((kind) => !this.#objects.isSynced(kind)).map((kind) => `listing of ${kind}`);
    const nodes = this.#written.has(syncedKey(this.#options.clusterName, 'ip'))
      ? []
      : this.#gate.waitingFor().map((node) => `own-set of node ${node}`);
    return [...kinds, ...nodes];
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

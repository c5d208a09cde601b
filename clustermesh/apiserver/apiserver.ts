import { WatchStore } from '../../kvstore/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import type { KubernetesKind, SourceProblem } from '../../kubernetes/index.ts';
import { clusterConfigKey, encodeClusterConfig, heartbeatKey, ownSetPrefix, syncedKey } from '../wire/index.ts';
import { beat, guardKey } from './beat.ts';
import { Canaries } from './canaries.ts';
import { Caretaker } from './caretaker.ts';
import { labelFilter } from './convert/label-filter.ts';
import { ExportTimes } from './export-times.ts';
import { KnownObjects } from './known-objects.ts';
import { type ApiserverOptions, checkApiserverOptions } from './options.ts';
import { OwnIdentities } from './own-identities.ts';
import { OwnSetGate } from './own-set-gate.ts';
import { PodRecords } from './pod-records.ts';
import { type PublishedSet, followsCilium, neededKinds, publishedSetsOf } from './published-sets.ts';
import { Publisher } from './publisher.ts';
import type { ApiserverStatus } from './status.ts';
import { type Channels, openChannels } from './sync-channels.ts';
import { Unread } from './unread.ts';
import { Wake } from './wake.ts';

const schedule = exponential({ firstMs: 50, maxMs: 5_000 });
const namedRefusals = 10;
/** A source that lists its objects sooner needs nobody to keep what was published. */
const patienceMs = 30_000;

/**
 * Kubernetes → store, for one cluster: everything that the cluster says of itself and that is not the agents' to say. It
 * starts nothing before {@link run}; an orderly stop withdraws nothing.
 */
export class Apiserver implements AsyncDisposable {
  readonly #options: ApiserverOptions;
  readonly #log: Logger;
  readonly #objects = new KnownObjects();
  readonly #sets: readonly PublishedSet[];
  readonly #needed: ReadonlySet<KubernetesKind>;
  readonly #channels: Channels;
  /** Absent where Cilium allocates identities. */
  readonly #identities: OwnIdentities | undefined;
  readonly #publisher: Publisher;
  readonly #gate: OwnSetGate;
  readonly #wake = new Wake();
  readonly #canaries: Canaries;
  #lastHeartbeat = '';

  constructor(options: ApiserverOptions) {
    checkApiserverOptions(options);
    const { clusterName, clusterId: id, store, clock, source, metrics } = options;
    this.#options = options;
    this.#log = options.log.child({ [fields.component]: 'apiserver', [fields.cluster]: clusterName });
    const log = this.#log;
    const measured = metrics ? { metrics } : {};
    this.#sets = publishedSetsOf(options);
    this.#needed = neededKinds(this.#sets);
    const leaseTtlSeconds = options.leaseTtlSeconds ?? 900;
    this.#channels = openChannels(this.#sets, { clusterName, store, clock, log, leaseTtlSeconds, ...measured });
    const objects = this.#objects;
    this.#identities = followsCilium(source.kinds) ? undefined : this.#openIdentities();
    const problems = (): readonly SourceProblem[] => this.#problems();
    const stored = async (key: string, signal: AbortSignal): Promise<Uint8Array | undefined> => {
      const entry = await store.get(key, { signal });
      return entry && new Uint8Array(entry.value);
    };
    const unread = new Unread(objects, problems);
    const awaitsNamespace = (name: string): boolean =>
      source.namesNamespaces === true && !objects.get('Namespace', '', name) && !unread.hidesNamespace(name);
    const exports = new ExportTimes({ cluster: clusterName, objects, stored, now: () => clock.now() });
    this.#publisher = new Publisher({
      context: {
        cluster: { name: clusterName, id },
        objects,
        defaultGlobalNamespace: options.defaultGlobalNamespace ?? true,
        awaitsNamespace,
        exportCreatedMs: (unit) => exports.createdMs(unit),
      },
      keys: this.#channels.keys,
      ...(this.#identities
        ? {
            pods: new PodRecords({
              cluster: clusterName,
              objects,
              allocator: this.#identities.allocator,
              opened: () => this.#identities?.isOpen === true,
              labels: labelFilter(options.identityLabels),
              clock,
              log,
            }),
          }
        : {}),
      exports,
      unread,
      stored,
      log,
      idle: () => this.#wake.notify(),
    });
    this.#gate = new OwnSetGate({ clock, silentAfterMs: options.silentNodeMs ?? 300_000 });
    this.#canaries = new Canaries({
      clusterName,
      sets: this.#sets,
      channels: this.#channels,
      publisher: this.#publisher,
      gate: this.#gate,
      problems,
      store,
      clock,
      log,
      ...measured,
      wake: this.#wake,
    });
  }

  /** True once every canary is written. */
  get ready(): boolean {
    return this.#canaries.complete;
  }

  /** Publishes until `signal` aborts. @throws when the store cannot be read or was closed. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, clusterName, store } = this.#options;
    const identities = this.#identities;
    const startedMs = clock.monotonicMs();
    if (identities)
      await retry((attempt) => identities.load(attempt), {
        clock,
        signal,
        schedule,
        onFailure: (error) => this.#log.warn('Cannot read the identities, will be repeated', { [fields.error]: error }),
      });
    const { meta } = this.#channels;
    using _refreshing = this.#countSkipped();
    await using tasks = new TaskGroup(signal);
    for (const sync of this.#channels.all) tasks.run((running) => sync.run(running));
    if (identities) tasks.run((running) => identities.run(() => this.#publisher.release(), running));
    tasks.run((running) => this.#publisher.run(running));
    // A lease that went is rarely alone: everything is looked at.
    const lost = (): void => {
      for (const sync of this.#channels.all) sync.reassert();
    };
    const guarded = { store, clock, log: this.#log, sync: meta, lost };
    const config = this.#clusterConfig();
    tasks.run((running) => guardKey(clusterConfigKey(clusterName), config, guarded, running));
    tasks.run((running) => this.#beat(running));
    if (this.#sets.some(({ gated }) => gated)) tasks.run((running) => this.#followOwnSets(running));
    tasks.run((running) => this.#followSource(running));
    tasks.run((running) => this.#keepFormer(running));
    tasks.run(async (running) => {
      await this.#canaries.run(running);
      this.#collectIdentities();
      this.#options.metrics
        ?.gauge({ name: 'bootstrap_seconds', help: 'Time from start until every set was complete' })
        .set((clock.monotonicMs() - startedMs) / 1_000);
    });
    tasks.run((running) => this.#tend(running));
    await tasks.wait();
  }

  status(): ApiserverStatus {
    const { clusterName, clusterId, source, store } = this.#options;
    const unwritten = this.#channels.all.find(({ failure }) => failure !== undefined)?.failure;
    const health = store.health();
    const cilium = followsCilium(source.kinds);
    const { written } = this.#canaries;
    const { skipped } = this.#publisher;
    const count = this.#publisher.count.bind(this.#publisher);
    return {
      clusterName,
      clusterId,
      source: source.description,
      mode: cilium ? 'cilium' : 'kubernetes',
      ready: this.ready,
      synced: Object.fromEntries(source.kinds.map((kind) => [kind, this.#objects.isSynced(kind)])),
      counts: {
        nodes: count(cilium ? 'CiliumNode' : 'Node'),
        endpoints: cilium ? this.#ciliumEndpoints() : count('Pod'),
        identities: this.#identities?.allocator.referenced ?? count('CiliumIdentity'),
        services: count('shared'),
        endpointSlices: count('slice'),
        serviceExports: count('export'),
        localServices: count('Service'),
        namespaces: count('Namespace'),
      },
      canaries: [...written].toSorted(),
      waitingFor: this.#waitingFor(),
      silentNodes: this.#gate.silent(),
      lastHeartbeat: this.#lastHeartbeat,
      queued: this.#channels.all.reduce((sum, sync) => sum + sync.queued, 0),
      ...(unwritten === undefined ? {} : { unwritten }),
      unread: (this.#options.source.unread?.() ?? []).map(({ object, reason }) => ({ object, reason })),
      errors: [
        ...this.#problems().map(({ object, reason }) => ({ object, reason })),
        ...[...skipped]
          .map(([object, reason]) => ({ object, reason }))
          .toSorted((a, b) => (a.object < b.object ? -1 : 1)),
        ...this.#channels.all.flatMap(({ refusals }) => refusalsToName(refusals)),
        ...(this.#identities?.allocator.conflicts ?? []).map(({ id, ours, theirs, holder }) => ({
          object: `identity ${id}`,
          reason: `means ${ours} in the store, and ${theirs} to ${holder ?? 'somebody who refers to it'}`,
        })),
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
    for (const sync of this.#channels.all) await sync[Symbol.asyncDispose]();
  }

  #openIdentities(): OwnIdentities {
    const { clusterName: cluster, clusterId, maxConnectedClusters, store, clock } = this.#options;
    return new OwnIdentities({
      origin: { cluster, clusterId, ...(maxConnectedClusters === undefined ? {} : { maxConnectedClusters }) },
      store,
      objects: this.#objects,
      meta: this.#channels.meta,
      wake: this.#wake,
      clock,
      log: this.#log,
      openingMs: this.#options.identityOpeningMs,
      graceMs: this.#options.identityGraceMs,
    });
  }

  #countSkipped(): Disposable | undefined {
    const { metrics } = this.#options;
    const skipped = metrics?.gauge({ name: 'apiserver_skipped_objects', help: 'Objects left out as not valid' });
    return metrics?.onScrape(() => {
      const refused = this.#channels.all.reduce((sum, { refusals }) => sum + refusals.size, 0);
      skipped?.set(this.#problems().length + this.#publisher.skipped.size + refused);
    });
  }

  #ciliumEndpoints(): number {
    let count = this.#publisher.count('CiliumEndpoint');
    for (const slice of this.#objects.all('CiliumEndpointSlice')) count += slice.endpoints.length;
    return count;
  }

  /** Advertises what is exported and nothing else (kvstore-schema §2, §16.1). */
  #clusterConfig(): string {
    const { clusterId, maxConnectedClusters = 255, serviceExports = false, serviceV2 } = this.#options;
    return encodeClusterConfig({
      id: clusterId,
      syncedCanaries: true,
      cached: false,
      maxConnectedClusters,
      serviceExportsEnabled: serviceExports,
      endpointSlicesExportMode:
        serviceV2 === 'only-endpointslice' ? 'endpointslices-only' : 'services-and-endpointslices',
    });
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    await beat(
      (value) => {
        this.#lastHeartbeat = value;
        this.#channels.meta.set(heartbeatKey, value);
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

  /** What an earlier life published does not go while the source cannot be read: its leases are nobody's any more. */
  async #keepFormer(signal: AbortSignal): Promise<void> {
    const { clusterName, store, clock, leaseTtlSeconds = 900 } = this.#options;
    await using caretaker = new Caretaker({
      clusterName,
      sets: this.#sets,
      store,
      clock,
      log: this.#log,
      leaseTtlSeconds,
      renews: (lease) => this.#channels.all.some((sync) => sync.renews(lease)),
      mayKeep: () => Promise.resolve([]),
    });
    await clock.sleep(Math.min(patienceMs, leaseTtlSeconds * 200), signal);
    await caretaker.run(signal, () => [...this.#needed].every((kind) => this.#objects.isSynced(kind)));
  }

  #expectNodes(): void {
    if (!this.#objects.isSynced('Node')) return;
    const nodes = [...this.#objects.all('Node')];
    const namesOf = (ready: boolean): string[] =>
      nodes.filter(({ status }) => status.ready === ready).map(({ metadata }) => metadata.name);
    this.#gate.expect(namesOf(true), namesOf(false));
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
        restart: (reason) => {
          if (reason !== 'start') for (const sync of this.#channels.all) sync.reassert();
        },
        synced: () => {
          this.#gate.listed = true;
          this.#wake.notify();
        },
      },
    });
    await retry((attempt) => watch.run(attempt), { clock, signal, schedule });
  }

  #problems(): readonly SourceProblem[] {
    return this.#options.source.problems?.() ?? [];
  }

  /** Every reference must be known: what was kept of a pod refers to a number that nobody has asked for in this life. */
  #collectIdentities(): void {
    if (this.ready && ![...this.#publisher.kept.values()].some(({ kind }) => kind === 'Pod'))
      this.#identities?.allocator.startCollecting();
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
    const { written, failing } = this.#canaries;
    const kinds = [...this.#needed].filter((kind) => !this.#objects.isSynced(kind)).map((kind) => `listing of ${kind}`);
    const nodes = written.has(syncedKey(this.#options.clusterName, 'ip'))
      ? []
      : this.#gate.waitingFor().map((node) => `own-set of node ${node}`);
    const identities = (this.#identities?.waitingFor() ?? []).map((node) => `identities that node ${node} uses`);
    const unread = this.ready ? [] : this.#problems().map(({ object, reason }) => `${object}: ${reason}`);
    return [...kinds, ...identities, ...nodes, ...unread, ...failing];
  }
}

/** A missing right refuses every key of a set. */
function refusalsToName(refusals: ReadonlyMap<string, string>): { readonly object: string; readonly reason: string }[] {
  const named = [...refusals].slice(0, namedRefusals).map(([object, reason]) => ({ object, reason }));
  const [last] = named.slice(-1);
  const more = refusals.size - named.length;
  return last && more > 0 ? [...named, { object: `${more} more keys`, reason: last.reason }] : named;
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

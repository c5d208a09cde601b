import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { Condition, isAbort, linkedController } from '../../runtime/tasks/index.ts';
import type { MaxConnectedClusters } from '../../values/identity/index.ts';
import type { Store } from '../../kvstore/index.ts';
import type { OwnSpace } from '../acceptance/index.ts';
import type { PeerConfig, PeerEvent } from '../peers/index.ts';
import { type RememberedClusters, keepRemembered } from '../remembered/index.ts';
import type { ServiceTable } from '../services/index.ts';
import type { MeshView } from '../view/index.ts';
import type { ServiceMode } from '../wire/index.ts';
import { ClusterIds } from './cluster-ids.ts';
import { RemoteCluster, type RemoteClusterDeps } from './remote-cluster.ts';
import type { RemoteClusterStatus } from './status.ts';
import { SyncSlots } from './sync-slots.ts';

export interface RemoteClustersOptions {
  readonly own: { readonly cluster: string; readonly clusterId: number };
  readonly maxConnectedClusters?: MaxConnectedClusters;
  /** @see RemoteClusterOptions */
  readonly lostLeaseGraceMs?: number;
  readonly serviceMode?: ServiceMode;
  /** Listings at a time, over all clusters; 4 unless told. */
  readonly concurrentSyncs?: number;
}

export interface RemoteClustersDeps {
  readonly openStore: (config: PeerConfig) => Store | Promise<Store>;
  readonly certificateOf?: NonNullable<RemoteClusterDeps['certificateOf']>;
  readonly view: MeshView;
  readonly services: ServiceTable;
  readonly ownSpace?: OwnSpace;
  readonly copies?: NonNullable<RemoteClusterDeps['copies']>;
  /** Keeps what is known of each cluster for the next life; without it a restart begins with nothing. */
  readonly remembered?: RememberedClusters;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called whenever a status may have changed. */
  readonly onChange?: () => void;
  /** A remote that is connected has not shown a heartbeat for too long. */
  readonly onSilence?: () => void;
}

interface Member {
  readonly cluster: RemoteCluster;
  controller: AbortController & Disposable;
  running: Promise<void>;
}

/** For so long the files of what is remembered wait for clusters that are not yet read. */
const startMs = 60_000;

/** All remote clusters of one agent, as the configuration directory lists them. */
export class RemoteClusters {
  readonly #options: RemoteClustersOptions;
  readonly #deps: RemoteClustersDeps;
  readonly #ids: ClusterIds;
  readonly #slots: SyncSlots;
  readonly #members = new Map<string, Member>();
  readonly #startedMs: number;
  #listed = false;
  readonly #change = new Condition();

  constructor(options: RemoteClustersOptions, deps: RemoteClustersDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#startedMs = deps.clock.monotonicMs();
    this.#ids = new ClusterIds(options.own.clusterId);
    this.#slots = new SyncSlots({
      clock: deps.clock,
      ...(options.concurrentSyncs === undefined ? {} : { concurrency: options.concurrentSyncs }),
    });
  }

  /** Follows the directory's events until they end or `signal` aborts. What was learned stays, unless a peer was removed. */
  async run(events: AsyncIterable<PeerEvent>, signal: AbortSignal): Promise<void> {
    try {
      for await (const event of events) {
        if (event.type === 'add') await this.#add(event.config, signal);
        else if (event.type === 'remove') await this.#remove(event.cluster);
        else await this.#allNamed(event.unread ?? new Set());
        this.#changed();
        if (signal.aborted) break;
      }
    } finally {
      await Promise.all([...this.#members.values()].map((member) => stop(member)));
    }
  }

  /** Sorted by name. */
  statuses(): RemoteClusterStatus[] {
    return this.#statusesOf(() => true);
  }

  /** What is still to be read before anything may be judged gone; empty: everything of every configured cluster is known. */
  waitingFor(): string[] {
    if (!this.#listed) return ['the list of remote clusters'];
    return this.#statusesOf(({ known }) => !known).map(({ name, synced, config, connected }) => {
      const missing = Object.entries(synced)
        .filter(([, done]) => !done)
        .map(([kind]) => kind);
      if (!connected) return `cluster ${name} (no connection)`;
      return `cluster ${name} (${config.retrieved ? missing.join(', ') : 'its configuration'})`;
    });
  }

  /** Whether {@link waitingFor} is empty. */
  get known(): boolean {
    if (!this.#listed) return false;
    for (const { cluster } of this.#members.values()) if (!cluster.known) return false;
    return true;
  }

  /**
   * True while a cluster may have told an earlier life what nobody knows now. As long as that is so, what is known says
   * nothing of what belongs to it.
   */
  get lost(): boolean {
    if (!this.#listed) return true;
    for (const { cluster } of this.#members.values()) if (cluster.lost) return true;
    return false;
  }

  /** Settles when {@link waitingFor} is empty. @throws the signal's reason when it aborts first. */
  async synced(signal: AbortSignal): Promise<void> {
    await this.#change.until(() => this.known, signal);
  }

  #statusesOf(wanted: (cluster: RemoteCluster) => boolean): RemoteClusterStatus[] {
    return [...this.#members.values()]
      .filter(({ cluster }) => wanted(cluster))
      .map(({ cluster }) => cluster.status())
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  async #add(config: PeerConfig, signal: AbortSignal): Promise<void> {
    const known = this.#members.get(config.cluster);
    if (known) {
      await stop(known);
      this.#deps.log.info('Configuration of a remote cluster changed: connecting anew', {
        [fields.cluster]: config.cluster,
      });
    }
    const { own, maxConnectedClusters, lostLeaseGraceMs, serviceMode } = this.#options;
    const cluster =
      known?.cluster ??
      new RemoteCluster(
        {
          name: config.cluster,
          own,
          ...(maxConnectedClusters === undefined ? {} : { maxConnectedClusters }),
          ...(lostLeaseGraceMs === undefined ? {} : { lostLeaseGraceMs }),
          ...(serviceMode === undefined ? {} : { serviceMode }),
        },
        { ...this.#deps, ids: this.#ids, slots: this.#slots, onChange: () => this.#changed() },
      );
    if (!known && this.#deps.remembered) cluster.recall(await this.#deps.remembered.load(config.cluster));
    this.#members.set(config.cluster, { cluster, ...this.#start(cluster, config, signal) });
  }

  async #remove(name: string): Promise<void> {
    const member = this.#members.get(name);
    // Its file could not be read in this life.
    if (!member) {
      await this.#deps.remembered?.forget(name);
      return;
    }
    await stop(member);
    this.#members.delete(name);
    member.cluster.drain();
    await this.#deps.remembered?.forget(name);
    this.#deps.log.info('Remote cluster removed: everything learned from it is withdrawn', { [fields.cluster]: name });
  }

  /** The directory was read once: what is remembered of any other cluster belongs to nobody. */
  async #allNamed(unread: ReadonlySet<string>): Promise<void> {
    await this.#deps.remembered?.retain(unread.union(new Set(this.#members.keys())));
    this.#listed = true;
  }

  #start(cluster: RemoteCluster, config: PeerConfig, signal: AbortSignal): Omit<Member, 'cluster'> {
    const controller = linkedController(signal);
    const { remembered, clock, log } = this.#deps;
    const ended = (error: unknown): void => {
      if (!isAbort(error, controller.signal))
        log.error('Following a remote cluster ended', { [fields.cluster]: cluster.name, [fields.error]: error });
    };
    const following = cluster.run(config, controller.signal).catch(ended);
    // An agent that starts has better things to do than to write hundreds of files, but one cluster that cannot be reached
    // does not keep it from that.
    const mayWrite = (): boolean => this.known || clock.monotonicMs() - this.#startedMs >= startMs;
    const keeping =
      remembered && keepRemembered(cluster, { remembered, clock, log, mayWrite }, controller.signal).catch(ended);
    const running = Promise.all([following, keeping]).then(() => undefined);
    return { controller, running };
  }

  #changed(): void {
    this.#change.notify();
    this.#deps.onChange?.();
  }
}

async function stop(member: Member): Promise<void> {
  member.controller.abort(new DOMException('The remote cluster is no longer followed', 'AbortError'));
  await member.running;
  member.controller[Symbol.dispose]();
}

import { type Compare } from '../../kvstore/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import { SyncSlots } from '../remote/index.ts';
import { CacheWriter } from './cache-writer.ts';
import { CopyReports } from './copy-reports.ts';
import { callOffDrain } from './drain.ts';
import { configConflicts } from './config-conflicts.ts';
import { cachedClusters } from './leftovers.ts';
import { Member, type MemberDeps } from './members.ts';
import type { MirroredCluster } from './mirrored-cluster.ts';
import type { KvstoreMeshDeps, KvstoreMeshOptions } from './options.ts';
import type { DrainStatus } from './status.ts';
import { writeHeartbeat } from './write-heartbeat.ts';

export interface SessionDeps extends KvstoreMeshDeps {
  /** Holds as long as we are the leader. */
  readonly fence: Compare;
  /** Aborts when we are no longer. */
  readonly signal: AbortSignal;
  readonly onChange: () => void;
  readonly onWriteError: () => void;
}

const checkLeadershipMs = 10_000;

/** What a leader does, as long as it is one. Begins with what the local store holds, and forgets everything at its end. */
export class Session {
  readonly #options: KvstoreMeshOptions;
  readonly #deps: SessionDeps;
  readonly #members = new Map<string, Member>();
  readonly #memberDeps: MemberDeps;
  readonly #writer: CacheWriter;
  readonly #reports: CopyReports;
  /** Clusters of the first complete look at the directory. */
  #atStart: ReadonlySet<string> | undefined;

  constructor(options: KvstoreMeshOptions, deps: SessionDeps) {
    this.#options = options;
    this.#deps = deps;
    const { store, clock, log, fence, onWriteError } = deps;
    this.#writer = new CacheWriter({ store, fence, clock, log, onError: onWriteError }, deps.signal);
    this.#reports = new CopyReports({
      local: store,
      writer: this.#writer,
      clock,
      listed: () => this.#atStart !== undefined,
      clusters: () => this.clusters,
      conflicts: () => configConflicts(this.clusters, options),
    });
    this.#memberDeps = {
      ...deps,
      local: store,
      writer: this.#writer,
      connecting: new SyncSlots({ clock, concurrency: options.concurrentConnections ?? 32, longestMs: 5_000 }),
      listing: new SyncSlots({ clock, concurrency: options.concurrentSyncs ?? 16 }),
      keepCopies: options.disableDrainOnDisconnection === true,
      options: {
        serviceMode: options.serviceMode ?? 'prefer-legacy',
        cacheTtlMs: options.cacheTtlMs ?? 0,
        leaseLossGraceMs: options.leaseLossGraceMs ?? 86_400_000,
      },
    };
  }

  /** Why nothing can be written into the local store at present. */
  get unwritten(): string | undefined {
    return this.#writer.failure;
  }

  /** Each that is being copied, in no order. */
  *copied(): Generator<MirroredCluster, void, void> {
    for (const { cluster } of this.#members.values()) if (cluster) yield cluster;
  }

  /** Sorted by name. */
  get clusters(): readonly MirroredCluster[] {
    return this.#sorted(({ cluster }) => cluster);
  }

  get draining(): readonly DrainStatus[] {
    return this.#sorted(({ drain }) => drain);
  }

  /** Names of the clusters that were configured at the start; undefined until they are known. */
  get atStart(): ReadonlySet<string> | undefined {
    return this.#atStart;
  }

  /** Runs until `signal` aborts. @throws {LeadershipLostError} when somebody else leads. */
  async run(signal: AbortSignal): Promise<void> {
    await using tasks = new TaskGroup(signal);
    tasks.run((running) => this.#followPeers(tasks, running));
    tasks.run((running) => this.#stayLeader(running));
    tasks.run((running) => this.#reports.run(running));
    if (this.#options.enableHeartbeat === true)
      tasks.run((running) =>
        writeHeartbeat(this.#writer, { ...this.#deps, leaseTtlSeconds: this.#options.leaseTtlSeconds ?? 900 }, running),
      );
    await tasks.wait();
  }

  /** Somebody may take the lock away while there is nothing to write. */
  async #stayLeader(signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.#deps.clock.sleep(checkLeadershipMs, signal);
      await this.#writer.apply([], signal);
    }
  }

  async #followPeers(tasks: TaskGroup, signal: AbortSignal): Promise<void> {
    const { found: left, draining } = await cachedClusters(this.#deps.store, signal);
    left.delete(this.#options.clusterName);
    for await (const event of this.#deps.peers(signal)) {
      if (event.type === 'add') {
        left.delete(event.config.cluster);
        // Its removal had begun under an earlier leader.
        if (draining.delete(event.config.cluster)) await callOffDrain(event.config.cluster, this.#writer, signal);
        const member = this.#members.get(event.config.cluster);
        if (member) member.want(event.config);
        else this.#start(new Member(event.config.cluster, event.config, this.#memberDeps), tasks);
      } else if (event.type === 'remove') {
        this.#members.get(event.cluster)?.want(undefined);
        this.#removeLeft(event.cluster, left, tasks);
      } else {
        this.#atStart = new Set(this.#members.keys());
        // They left while nobody was looking; not so those whose file is there, and cannot be read for now.
        for (const name of left) if (!event.unread?.has(name)) this.#removeLeft(name, left, tasks);
      }
      this.#deps.onChange();
    }
  }

  /** Removes the copies of an earlier life, if there are any of this cluster. */
  #removeLeft(name: string, left: Set<string>, tasks: TaskGroup): void {
    if (left.delete(name)) this.#start(new Member(name, undefined, this.#memberDeps), tasks);
  }

  #start(member: Member, tasks: TaskGroup): void {
    this.#members.set(member.name, member);
    tasks.run(async (running) => {
      // It may be wanted again in the very moment in which it ends.
      do await member.run(running);
      while (member.wanted);
      this.#members.delete(member.name);
      this.#deps.onChange();
    });
  }

  #sorted<T>(of: (member: Member) => T | undefined): T[] {
    return [...this.#members.values()]
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(of)
      .filter((one) => one !== undefined);
  }
}

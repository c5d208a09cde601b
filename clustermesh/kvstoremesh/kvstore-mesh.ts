import { exponential, retry } from '../../runtime/retry/index.ts';
import { reasonOf } from '../../runtime/files/index.ts';
import { fields } from '../../runtime/log/index.ts';
import { linkedController } from '../../runtime/tasks/index.ts';
import type { Lock } from '../../kvstore/index.ts';
import { basePrefix } from '../wire/index.ts';
import { statusOf } from './cluster-status.ts';
import { LeadershipLostError } from './errors.ts';
import { configConflicts } from './config-conflicts.ts';
import type { KvstoreMeshDeps, KvstoreMeshOptions } from './options.ts';
import { BootstrapReadiness, lockOfLeader } from './readiness.ts';
import { Session } from './session.ts';
import type { CachedClusterStatus, KvstoreMeshStatus } from './status.ts';

/** Cilium's lock, so that one of ours and one of Cilium's do not lead at once (kvstore-schema §10). */
export const leaderLock = `${basePrefix}/kvstoremesh-lock`;

const releaseMs = 2_000;
/** The longest pause before an attempt to lead, and what its calls may take before they fail. */
const attemptMs = 30_000;

/**
 * Copies the remote clusters that the configuration directory names into the own cluster's store, under `cilium/cache`, where its
 * agents read them (clustermesh-behaviour §8). One of several processes leads; each write is void once another one does.
 * An orderly stop removes nothing.
 */
export class KvstoreMesh {
  readonly #options: KvstoreMeshOptions;
  readonly #deps: KvstoreMeshDeps;
  readonly #readiness: BootstrapReadiness;
  #session: Session | undefined;
  #errors = 0;
  /** Why it could not lead, or not wait for its turn, and when that was. */
  #failure: { readonly reason: string; readonly atMs: number } | undefined;

  constructor(options: KvstoreMeshOptions, deps: KvstoreMeshDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#readiness = new BootstrapReadiness(options, deps.clock);
  }

  get leader(): boolean {
    return this.#session !== undefined;
  }

  /**
   * Whether this process has done what it can for those who wait for it (clustermesh-behaviour §8.4); stays true, but for one that can
   * neither lead nor wait for it, since its store refuses: it does nothing for anybody.
   */
  get ready(): boolean {
    return this.waitingFor().length === 0;
  }

  /** What it waits for, in words; empty: ready. */
  waitingFor(): readonly string[] {
    const waiting = this.#readiness.waitingFor(this.#session);
    const failure = this.#session ? undefined : this.#failure;
    // Who waits for its turn hears nothing: an attempt that lasts is one that waits.
    if (!failure || this.#deps.clock.monotonicMs() - failure.atMs >= attemptMs) return waiting;
    return [...waiting.filter((one) => one !== lockOfLeader), `${lockOfLeader}: ${failure.reason}`];
  }

  /** How long that took; undefined until then. */
  get bootstrapSeconds(): number | undefined {
    return this.#readiness.tookSeconds;
  }

  /** Writes that failed and were repeated. */
  get writeErrors(): number {
    return this.#errors;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  clusters(): CachedClusterStatus[] {
    const clusters = this.#session?.clusters ?? [];
    const conflicts = configConflicts(clusters, this.#options);
    return clusters.map((cluster) => statusOf(cluster, conflicts.get(cluster.name)));
  }

  status(): KvstoreMeshStatus {
    const waitingFor = this.waitingFor();
    const { connected, endpoint, error } = this.#deps.store.health();
    const unwritten = this.#session?.unwritten;
    return {
      kvstoremesh: this.#options.clusterName,
      leader: this.leader,
      ready: waitingFor.length === 0,
      waitingFor,
      clusters: this.clusters(),
      draining: this.#session?.draining ?? [],
      ...(unwritten === undefined ? {} : { unwritten }),
      store: { connected, endpoint, ...(error === undefined ? {} : { error }) },
    };
  }

  /** Leads, or waits for its turn, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    this.#readiness.start();
    await retry(
      async (running) => {
        while (!running.aborted) await this.#lead(running);
      },
      {
        clock,
        signal,
        schedule: exponential({ firstMs: 200, maxMs: 5_000 }),
        onFailure: (error, failures, delayMs) => {
          this.#failure = { reason: reasonOf(error), atMs: clock.monotonicMs() };
          log[failures < 3 ? 'info' : 'warn']('Cannot lead, and tries again', {
            [fields.error]: error,
            [fields.delayMs]: Math.round(delayMs),
          });
        },
      },
    );
  }

  async #lead(signal: AbortSignal): Promise<void> {
    const { store, log } = this.#deps;
    const lock = await store.lock(leaderLock, { signal });
    log.info('Leading: the local cache is ours to write');
    using leading = linkedController(signal);
    const onLost = (): void => leading.abort(new LeadershipLostError());
    lock.lost.addEventListener('abort', onLost, { once: true });
    if (lock.lost.aborted) onLost();
    this.#session = new Session(this.#options, {
      ...this.#deps,
      fence: lock.fence(),
      signal: leading.signal,
      onChange: () => this.#changed(),
      onWriteError: () => (this.#errors += 1),
    });
    try {
      await this.#session.run(leading.signal);
    } catch (error) {
      if (!(error instanceof LeadershipLostError)) throw error;
    } finally {
      lock.lost.removeEventListener('abort', onLost);
      this.#session = undefined;
      await this.#release(lock);
    }
    if (!signal.aborted) log.warn('No longer leading: nothing more is written until the lock is ours again');
  }

  /** So that another one need not wait for the lease to end; a store that does not answer does it by itself. */
  async #release(lock: Lock): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = this.#deps.clock.timer(releaseMs, resolve);
    await Promise.race([lock.release().catch(() => undefined), promise]);
  }

  #changed(): void {
    this.#readiness.look(this.#session);
  }
}

import type { Clock } from '../../runtime/clock/index.ts';
import type { KvstoreMeshOptions } from './options.ts';
import type { Session } from './session.ts';

/** What a standby waits for, in words. */
export const lockOfLeader = 'the lock of the leader';
/** A standby is ready once it has waited this long for its turn (kvstore-schema §10). */
const standbyMs = 10_000;

/**
 * When a kvstoremesh counts as ready (clustermesh-behaviour §8.4): every cluster that was configured at the start is copied, or could
 * not be connected in time; after a longer time in any case. Once ready it stays so.
 */
export class BootstrapReadiness {
  readonly #clock: Clock;
  readonly #perClusterMs: number;
  readonly #globalMs: number;
  #startedMs: number | undefined;
  /** When leading began; the time of the clusters counts from then. */
  #leadingMs: number | undefined;
  #readyMs: number | undefined;

  constructor(options: KvstoreMeshOptions, clock: Clock) {
    this.#clock = clock;
    this.#perClusterMs = options.perClusterReadyTimeoutMs ?? 15_000;
    this.#globalMs = options.globalReadyTimeoutMs ?? 600_000;
  }

  get tookSeconds(): number | undefined {
    return this.#readyMs === undefined ? undefined : (this.#readyMs - (this.#startedMs ?? 0)) / 1000;
  }

  start(): void {
    this.#startedMs ??= this.#clock.monotonicMs();
  }

  /** Empty: ready. */
  waitingFor(session: Pick<Session, 'copied' | 'atStart'> | undefined): string[] {
    if (this.#readyMs !== undefined) return [];
    if (this.#startedMs === undefined) return ['start'];
    const now = this.#clock.monotonicMs();
    const waiting = [...this.#unfinished(session, this.#startedMs, now)].toSorted();
    if (waiting.length === 0) this.#readyMs = now;
    return waiting;
  }

  /** Notes the moment in which it becomes ready; cheap, for whenever anything has changed. */
  look(session: Pick<Session, 'copied' | 'atStart'> | undefined): void {
    if (this.#readyMs !== undefined || this.#startedMs === undefined) return;
    const now = this.#clock.monotonicMs();
    for (const _ of this.#unfinished(session, this.#startedMs, now)) return;
    this.#readyMs = now;
  }

  *#unfinished(
    session: Pick<Session, 'copied' | 'atStart'> | undefined,
    startedMs: number,
    now: number,
  ): Generator<string, void, void> {
    if (now - startedMs >= this.#globalMs) return;
    if (!session) {
      if (now - startedMs < standbyMs) yield lockOfLeader;
      return;
    }
    this.#leadingMs ??= now;
    const { atStart } = session;
    if (!atStart) {
      yield 'the list of remote clusters';
      return;
    }
    const late = now - this.#leadingMs >= this.#perClusterMs;
    for (const cluster of session.copied()) {
      // What is known is nearly all in the end, and asked first: whether there is a connection costs more to say.
      if (cluster.known || !atStart.has(cluster.name)) continue;
      const { connected } = cluster;
      if (connected || !late) yield `cluster ${cluster.name} (${connected ? 'being copied' : 'no connection'})`;
    }
  }
}

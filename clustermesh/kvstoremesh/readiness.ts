import type { Clock } from '../../runtime/clock/index.ts';
import type { KvstoreMeshOptions } from './options.ts';
import type { Session } from './session.ts';

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
    const waiting = now - this.#startedMs >= this.#globalMs ? [] : this.#unfinished(session, now);
    if (waiting.length === 0) this.#readyMs = now;
    return waiting;
  }

  #unfinished(session: Pick<Session, 'copied' | 'atStart'> | undefined, now: number): string[] {
    if (!session) return now - (this.#startedMs ?? now) >= standbyMs ? [] : ['the lock of the leader'];
    this.#leadingMs ??= now;
    const { atStart } = session;
    if (!atStart) return ['the list of remote clusters'];
    const late = now - this.#leadingMs >= this.#perClusterMs;
    const waiting: string[] = [];
    for (const { name, known, connected } of session.copied())
      if (atStart.has(name) && !known && (connected || !late))
        waiting.push(`cluster ${name} (${connected ? 'being copied' : 'no connection'})`);
    return waiting.toSorted();
  }
}

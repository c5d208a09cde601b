import type { Clock } from '../../runtime/clock/index.ts';
import { isAbort, linkedController } from '../../runtime/tasks/index.ts';
import { LeaseNotFoundError } from './errors.ts';
import type { Lease } from './lease.ts';

export interface RenewedLeaseDependencies {
  readonly clock: Clock;
  /**
   * Gives the seconds that the lease has from the asking on; 0 or less says that it is gone, as does
   * {@link LeaseNotFoundError}. The signal aborts when an answer would come too late (in `timeoutMs`), or when nobody
   * wants it any more.
   */
  readonly renew: (id: bigint, signal: AbortSignal, timeoutMs: number) => Promise<number>;
  readonly revoke: (id: bigint) => Promise<void>;
  /** Called when the renewal has ended, however it did. */
  readonly ended: (lease: RenewedLease) => void;
}

/**
 * A lease that renews itself at a third of its time to live, for whatever store. It counts as lost when the store says so, or
 * when its time, counted by a monotonic clock from the moment the last successful renewal was asked for, has run out: a
 * store that does not answer must not make an owner believe longer than the store does.
 */
export class RenewedLease implements Lease {
  readonly id: bigint;
  readonly ttlSeconds: number;
  readonly #deps: RenewedLeaseDependencies;
  readonly #lost = new AbortController();
  readonly #stopped = new AbortController();
  readonly #renewal: Promise<void>;

  /** @param askedMs monotonic time when the lease was asked for */
  constructor(id: bigint, ttlSeconds: number, askedMs: number, dependencies: RenewedLeaseDependencies) {
    this.id = id;
    this.ttlSeconds = ttlSeconds;
    this.#deps = dependencies;
    this.#renewal = this.#run(askedMs);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async revoke(): Promise<void> {
    await this[Symbol.asyncDispose]();
    try {
      await this.#deps.revoke(this.id);
    } catch (error) {
      if (!(error instanceof LeaseNotFoundError)) throw error;
    }
    this.#lose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort(new DOMException('The lease was disposed of', 'AbortError'));
    await this.#renewal;
  }

  async #run(askedMs: number): Promise<void> {
    const stopped = this.#stopped.signal;
    try {
      await this.#untilLost(askedMs, stopped);
      this.#lose();
    } catch (error) {
      if (!isAbort(error, stopped)) throw error;
    } finally {
      this.#deps.ended(this);
    }
  }

  /** @throws the reason of `stopped` */
  async #untilLost(askedMs: number, stopped: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    let endMs = askedMs + this.ttlSeconds * 1000;
    let pauseMs = (this.ttlSeconds * 1000) / 3;
    for (;;) {
      await clock.sleep(Math.max(0, Math.min(pauseMs, endMs - clock.monotonicMs())), stopped);
      const nowMs = clock.monotonicMs();
      if (nowMs >= endMs) return;
      try {
        const seconds = await this.#renewWithin(endMs - nowMs, stopped);
        if (seconds <= 0) return;
        endMs = nowMs + seconds * 1000;
        pauseMs = (seconds * 1000) / 3;
      } catch (error) {
        stopped.throwIfAborted();
        if (error instanceof LeaseNotFoundError) return;
        pauseMs = Math.min(1000, this.ttlSeconds * 100);
      }
    }
  }

  /** A renewal that outlasts the lease is of no use: the owner must hear in time. */
  async #renewWithin(ms: number, stopped: AbortSignal): Promise<number> {
    using ending = linkedController(stopped);
    using _timer = this.#deps.clock.timer(ms, () =>
      ending.abort(new DOMException('The store has not answered in time', 'TimeoutError')),
    );
    return await this.#deps.renew(this.id, ending.signal, ms);
  }

  #lose(): void {
    if (!this.#lost.signal.aborted) this.#lost.abort(new LeaseNotFoundError(`Lease ${this.id.toString(16)} is gone`));
  }
}

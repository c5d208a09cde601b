import type { Clock } from '../../runtime/clock/index.ts';
import { isAbort } from '../../runtime/tasks/index.ts';
import { type Lease, LeaseNotFoundError } from '../contract/index.ts';

interface LeaseDependencies {
  readonly clock: Clock;
  /** Gives the seconds that the lease now has; 0 says that it is gone. */
  readonly keepAlive: (id: bigint, timeoutMs: number, signal: AbortSignal) => Promise<number>;
  readonly revoke: (id: bigint) => Promise<void>;
  readonly ended: (lease: EtcdLease) => void;
}

/**
 * A lease that renews itself at a third of its time to live. It counts as lost when the store says so, or when its time,
 * counted from the moment the last successful renewal was sent, has run out without an answer.
 */
export class EtcdLease implements Lease {
  readonly id: bigint;
  readonly ttlSeconds: number;
  readonly #deps: LeaseDependencies;
  readonly #lost = new AbortController();
  readonly #stopped = new AbortController();
  readonly #renewal: Promise<void>;

  /** @param sentMs monotonic time when the lease was asked for */
  constructor(id: bigint, ttlSeconds: number, sentMs: number, dependencies: LeaseDependencies) {
    this.id = id;
    this.ttlSeconds = ttlSeconds;
    this.#deps = dependencies;
    this.#renewal = this.#renewUntilEnd(sentMs);
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

  async #renewUntilEnd(sentMs: number): Promise<void> {
    const stopped = this.#stopped.signal;
    try {
      await this.#renew(sentMs, stopped);
      this.#lose();
    } catch (error) {
      if (!isAbort(error, stopped)) throw error;
    } finally {
      this.#deps.ended(this);
    }
  }

  /** Returns when the lease is lost. @throws the reason of `stopped` */
  async #renew(sentMs: number, stopped: AbortSignal): Promise<void> {
    const { clock, keepAlive } = this.#deps;
    let aliveUntilMs = sentMs + this.ttlSeconds * 1000;
    let waitMs = (this.ttlSeconds * 1000) / 3;
    for (;;) {
      await clock.sleep(Math.min(waitMs, Math.max(0, aliveUntilMs - clock.monotonicMs())), stopped);
      const askedMs = clock.monotonicMs();
      if (askedMs >= aliveUntilMs) return;
      try {
        const ttl = await keepAlive(this.id, aliveUntilMs - askedMs, stopped);
        if (ttl <= 0) return;
        aliveUntilMs = askedMs + ttl * 1000;
        waitMs = (ttl * 1000) / 3;
      } catch (error) {
        stopped.throwIfAborted();
        if (error instanceof LeaseNotFoundError) return;
        waitMs = Math.min(1000, this.ttlSeconds * 100);
      }
    }
  }

  #lose(): void {
    if (!this.#lost.signal.aborted) this.#lost.abort(new LeaseNotFoundError(`Lease ${this.id.toString(16)} is gone`));
  }
}

import type { Clock } from '../../runtime/clock/index.ts';
import { isAbort } from '../../runtime/tasks/index.ts';
import { type Lease, LeaseNotFoundError } from '../contract/index.ts';

interface LeaseDependencies {
  readonly clock: Clock;
  /** @throws {LeaseNotFoundError} when the session is gone. */
  readonly renew: (id: bigint, signal: AbortSignal) => Promise<void>;
  readonly destroy: (id: bigint) => Promise<void>;
  readonly ended: (lease: SessionLease) => void;
}

/**
 * A Consul session as a lease, renewed at a third of its time. Consul keeps its word only for the time to live itself
 * (it lets twice of it pass), so that is the budget: no renewal within it, by a monotonic clock, and the lease counts as
 * lost.
 */
export class SessionLease implements Lease {
  readonly id: bigint;
  readonly ttlSeconds: number;
  readonly #deps: LeaseDependencies;
  readonly #lost = new AbortController();
  readonly #stopped = new AbortController();
  readonly #renewal: Promise<void>;

  /** @param askedMs monotonic time when the session was asked for */
  constructor(id: bigint, ttlSeconds: number, askedMs: number, dependencies: LeaseDependencies) {
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
    await this.#deps.destroy(this.id);
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

  async #untilLost(askedMs: number, stopped: AbortSignal): Promise<void> {
    const { clock, renew } = this.#deps;
    const budgetMs = this.ttlSeconds * 1000;
    let endMs = askedMs + budgetMs;
    let pauseMs = budgetMs / 3;
    for (;;) {
      await clock.sleep(Math.max(0, Math.min(pauseMs, endMs - clock.monotonicMs())), stopped);
      const nowMs = clock.monotonicMs();
      if (nowMs >= endMs) return;
      try {
        await this.#within(endMs - nowMs, stopped, (signal) => renew(this.id, signal));
        endMs = nowMs + budgetMs;
        pauseMs = budgetMs / 3;
      } catch (error) {
        stopped.throwIfAborted();
        if (error instanceof LeaseNotFoundError) return;
        pauseMs = Math.min(1000, budgetMs / 10);
      }
    }
  }

  /** A renewal that outlasts the budget is of no use: the owner must hear in time. */
  async #within(ms: number, stopped: AbortSignal, run: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const ending = new AbortController();
    const stop = (): void => ending.abort(stopped.reason);
    using _timer = this.#deps.clock.timer(ms, () => ending.abort(new DOMException('Too late', 'TimeoutError')));
    stopped.addEventListener('abort', stop, { once: true });
    try {
      await run(ending.signal);
    } finally {
      stopped.removeEventListener('abort', stop);
    }
  }

  #lose(): void {
    if (!this.#lost.signal.aborted) this.#lost.abort(new LeaseNotFoundError(`Lease ${this.id.toString(16)} is gone`));
  }
}

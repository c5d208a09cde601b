import type { Clock } from '../../runtime/clock/index.ts';
import { isAbort } from '../../runtime/tasks/index.ts';
import { type Lease, LeaseNotFoundError } from '../contract/index.ts';

interface LeaseDependencies {
  readonly clock: Clock;
  readonly keepAlive: (id: bigint) => Promise<{ readonly ttl: number }>;
  readonly revoke: (id: bigint) => Promise<void>;
  readonly ended: () => void;
}

/** A lease that renews itself at a third of its time to live, until it is disposed of, revoked or lost. */
export class EngineLease implements Lease {
  readonly id: bigint;
  readonly ttlSeconds: number;
  readonly #deps: LeaseDependencies;
  readonly #lost = new AbortController();
  readonly #stopped = new AbortController();
  #renewal: Promise<void> | undefined;
  #aliveUntilMs: number;

  constructor(id: bigint, ttlSeconds: number, dependencies: LeaseDependencies) {
    this.id = id;
    this.ttlSeconds = ttlSeconds;
    this.#deps = dependencies;
    this.#aliveUntilMs = dependencies.clock.monotonicMs() + ttlSeconds * 1000;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  start(): void {
    this.#renewal ??= this.#renew();
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
    this.#deps.ended();
  }

  async #renew(): Promise<void> {
    const { clock, keepAlive } = this.#deps;
    const intervalMs = (this.ttlSeconds * 1000) / 3;
    try {
      while (!this.#stopped.signal.aborted) {
        await clock.sleep(intervalMs, this.#stopped.signal);
        const asked = clock.monotonicMs();
        const ttl = await keepAlive(this.id).then(
          (answer) => answer.ttl,
          () => undefined,
        );
        if (ttl !== undefined && ttl > 0) this.#aliveUntilMs = asked + ttl * 1000;
        else if (ttl === 0 || clock.monotonicMs() >= this.#aliveUntilMs) break;
      }
    } catch (error) {
      if (!isAbort(error, this.#stopped.signal)) throw error;
    }
    if (!this.#stopped.signal.aborted) {
      this.#deps.ended();
      this.#lose();
    }
  }

  #lose(): void {
    if (!this.#lost.signal.aborted) this.#lost.abort(new LeaseNotFoundError(`Lease ${this.id.toString(16)} is gone`));
  }
}

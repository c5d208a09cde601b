import type { Compare, Store } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { heartbeatKey, termKey } from '../wire/index.ts';

export interface LeaderWatchOptions {
  readonly store: Pick<Store, 'get' | 'leaseTtl'>;
  readonly clock: Clock;
  /** Of what a leader writes. Default 15 min. */
  readonly leaseTtlSeconds?: number;
}

/** A leader beats once a minute. */
const silentMs = 150_000;
/** The least that says anything; where a store does not tell what a lease has left (Consul), and leases are short. */
const leastSilentMs = 75_000;
/** Who has not looked for so long, as while the store was away, knows nothing of whether anybody leads. */
const blindMs = 30_000;

/** Whether any apiserver leads, by what it does in the store, for who cannot ask where the office is kept. */
export class LeaderWatch {
  readonly #options: LeaderWatchOptions;
  #beat = 0;
  #term = 0;
  /** Since when neither has changed; undefined before it was first looked at. */
  #sinceMs: number | undefined;
  #lookedMs = -Infinity;
  /** The lease of the last beat has less left than any leader lets it have. */
  #runsOut = false;

  constructor(options: LeaderWatchOptions) {
    this.#options = options;
  }

  /**
   * Nobody has beaten, or begun a term, for longer than a leader is silent, by our own clock alone; or nobody renews the lease of
   * the last beat, which is how it is found after everything was down for a while.
   */
  get silent(): boolean {
    return this.#silentAt(this.#options.clock.monotonicMs());
  }

  /** Looks, which also shows whether the store answers. */
  async look(signal: AbortSignal): Promise<void> {
    const { store, clock, leaseTtlSeconds = 900 } = this.#options;
    const term = (await store.get(termKey('apiserver'), { signal }))?.modRevision ?? 0;
    const { modRevision: beat = 0, lease = 0n } = (await store.get(heartbeatKey, { signal })) ?? {};
    const now = clock.monotonicMs();
    // A leader cannot beat while the store is away, either; where nobody led before, nobody has begun to.
    const isBlind = now - this.#lookedMs > blindMs && !this.#silentAt(this.#lookedMs);
    this.#lookedMs = now;
    // A beat that goes with its lease is none.
    const isSame = term === this.#term && (beat === this.#beat || beat === 0);
    if (isBlind || !isSame) {
      [this.#term, this.#beat, this.#sinceMs, this.#runsOut] = [term, beat, now, false];
      return;
    }
    const leftSeconds = lease === 0n ? undefined : await store.leaseTtl?.(lease, { signal });
    if (leftSeconds !== undefined && leftSeconds < leaseTtlSeconds / 2) this.#runsOut = true;
  }

  #silentAt(ms: number): boolean {
    return this.#runsOut || (this.#sinceMs !== undefined && ms - this.#sinceMs >= this.#limitMs);
  }

  get #limitMs(): number {
    const { store, leaseTtlSeconds = 900 } = this.#options;
    return store.leaseTtl ? silentMs : Math.min(silentMs, Math.max(leastSilentMs, leaseTtlSeconds * 1000));
  }

  /** Holds for a write as long as nobody has begun a term since the last look. */
  term(): Compare {
    return { key: termKey('apiserver'), target: 'mod', result: 'equal', value: this.#term };
  }
}

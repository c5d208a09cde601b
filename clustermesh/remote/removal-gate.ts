import type { Clock } from '../../runtime/clock/index.ts';
import type { Logger } from '../../runtime/log/index.ts';
import { Condition } from '../../runtime/tasks/index.ts';
import type { Heartbeat } from './heartbeat.ts';

const lookMs = 5_000;
/** A writer that begins anew, or has lost one lease of several, has said everything by then. */
const settledMs = 120_000;

/**
 * Whether what has gone in a remote's store was deleted by somebody. While the remote's writer gives no sign of life nobody deletes
 * anything: its leases end, one after another, and that of the cluster's configuration need not be the first. Nor is it a deletion when one
 * lease ends while the writer lives. Once this was so, nothing is believed before the writer has been heard for two minutes without a
 * break: by then it has written again what there is, and a new listing tells the rest.
 */
export class RemovalGate {
  readonly #heartbeat: Pick<Heartbeat, 'stale' | 'ageMs'>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #changed = new Condition();
  #held = false;

  constructor(heartbeat: Pick<Heartbeat, 'stale' | 'ageMs'>, clock: Clock, log: Logger) {
    this.#heartbeat = heartbeat;
    this.#clock = clock;
    this.#log = log;
  }

  /** Asked when something has gone. */
  believed(): boolean {
    if (!this.#speaks()) this.hold();
    return !this.#held;
  }

  hold(): void {
    if (this.#held) return;
    this.#held = true;
    this.#log.info('What goes in the store of a remote cluster is kept: its writer is silent, or has lost a lease');
    this.#changed.notify();
  }

  /** Until `signal` aborts: calls `settled` whenever removals may be believed again. */
  async run(settled: () => void, signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.#changed.until(() => this.#held, signal);
      let heardSinceMs: number | undefined;
      do {
        await this.#clock.sleep(lookMs, signal);
        heardSinceMs = this.#speaks() ? (heardSinceMs ?? this.#clock.monotonicMs()) : undefined;
      } while (heardSinceMs === undefined || this.#clock.monotonicMs() - heardSinceMs < settledMs);
      this.#held = false;
      settled();
    }
  }

  #speaks(): boolean {
    return this.#heartbeat.ageMs !== undefined && !this.#heartbeat.stale;
  }
}

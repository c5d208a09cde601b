import type { Clock } from '../../runtime/clock/index.ts';
import { type Store, toText } from '../../kvstore/index.ts';
import { decodeTime, heartbeatKey } from '../wire/index.ts';
import { StoreChangedError } from './errors.ts';

/** Silence beyond this makes a remote cluster stale, never empty. */
export const heartbeatLimitMs = 120_000;

/**
 * When a remote cluster last showed that its control plane lives. A beat that is seen to arrive counts from its arrival;
 * one found in a listing may be older than the connection, so its own time is asked (and not believed when it lies in
 * the future, which is a matter of clocks).
 */
export class Heartbeat {
  readonly #clock: Clock;
  #lastMs: number | undefined;
  /** When it was first listened for: before the first beat, silence is counted from here. */
  #listeningMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since the last beat; undefined before the first. */
  get ageMs(): number | undefined {
    return this.#lastMs === undefined ? undefined : Math.max(0, this.#clock.monotonicMs() - this.#lastMs);
  }

  /** Silent for too long: since the last beat, or since it was first listened for. */
  get stale(): boolean {
    const sinceMs = this.#lastMs ?? this.#listeningMs;
    return sinceMs !== undefined && this.#clock.monotonicMs() - sinceMs > heartbeatLimitMs;
  }

  /**
   * Follows the heartbeat key over one connection, calling `listed` once the store has answered.
   * @throws {StoreChangedError} when another store answers than at first.
   */
  async follow(store: Pick<Store, 'listAndWatch'>, listed: () => void, signal: AbortSignal): Promise<void> {
    let started = false;
    let listing = true;
    for await (const batch of store.listAndWatch(heartbeatKey, { signal })) {
      switch (batch.type) {
        case 'restart':
          if (started && batch.reason === 'store-replaced') throw new StoreChangedError();
          started = true;
          listing = true;
          break;
        case 'changes':
          for (const event of batch.events)
            if (event.type === 'put') this.#beat(listing ? event.entry.value : undefined);
          break;
        case 'synced':
          listing = false;
          this.#listeningMs ??= this.#clock.monotonicMs();
          listed();
          break;
      }
    }
  }

  #beat(listedValue: Uint8Array | undefined): void {
    const now = this.#clock.now();
    const written = (listedValue && decodeTime(toText(listedValue))) ?? now;
    const at = this.#clock.monotonicMs() - Math.max(0, now - written);
    this.#lastMs = Math.max(this.#lastMs ?? at, at);
  }
}

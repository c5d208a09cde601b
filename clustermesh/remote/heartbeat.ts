import type { Clock } from '../../runtime/clock/index.ts';
import type { Store } from '../../kvstore/index.ts';
import { heartbeatKey } from '../wire/index.ts';
import { StoreChangedError } from './errors.ts';
import { LastBeat } from './last-beat.ts';

/** When a remote cluster last showed that its control plane lives. */
export class Heartbeat {
  readonly #last: LastBeat;

  constructor(clock: Clock) {
    this.#last = new LastBeat(clock);
  }

  /** Milliseconds since the last beat; undefined before the first. */
  get ageMs(): number | undefined {
    return this.#last.ageMs;
  }

  /** Silent for too long: since the last beat, or since it was first listened for. */
  get stale(): boolean {
    return this.#last.stale;
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
            if (event.type === 'put') this.#last.beat(event.entry.value, listing ? 'listed' : 'arrived');
          break;
        case 'synced':
          listing = false;
          this.#last.listening();
          listed();
          break;
      }
    }
  }
}

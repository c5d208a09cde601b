import type { Clock } from '../../../runtime/clock/index.ts';
import type { Engine } from '../../contract/index.ts';
import { tooManyRequests } from './refusals.ts';

/** Which of them still live, is asked so often at most. */
const lookMs = 1_000;

interface Granted {
  readonly ids: Set<bigint>;
  /** Grants under way. */
  pending: number;
  lookedAtMs: number;
}

/**
 * Leases that users were granted, over all their connections. A lease outlives its connection and may last for centuries, so that who
 * may write one key could make the store hold any number.
 */
export class GrantedLeases {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #max: number;
  readonly #users = new Map<string, Granted>();

  constructor(engine: Engine, clock: Clock, max: number) {
    this.#engine = engine;
    this.#clock = clock;
    this.#max = max;
  }

  /** Lets a user be granted one more. @throws {EngineError} when it has enough of those that live */
  async grant<T extends { readonly id: bigint }>(user: string, give: () => Promise<T>): Promise<T> {
    const granted = this.#of(user);
    if (this.#isEnough(granted)) await this.#look(granted);
    if (this.#isEnough(granted)) throw tooManyRequests();
    granted.pending += 1;
    try {
      const lease = await give();
      granted.ids.add(lease.id);
      return lease;
    } finally {
      granted.pending -= 1;
    }
  }

  #isEnough({ ids, pending }: Granted): boolean {
    return ids.size + pending >= this.#max;
  }

  async #look(granted: Granted): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - granted.lookedAtMs < lookMs) return;
    granted.lookedAtMs = nowMs;
    const before = [...granted.ids];
    const live = new Set(await this.#engine.leases());
    for (const id of before) if (!live.has(id)) granted.ids.delete(id);
  }

  #of(user: string): Granted {
    let granted = this.#users.get(user);
    if (!granted) this.#users.set(user, (granted = { ids: new Set(), pending: 0, lookedAtMs: -Infinity }));
    return granted;
  }
}

import type { Clock } from '../../../runtime/clock/index.ts';

export interface AttemptLimits {
  /** Failed attempts of one address in a minute. */
  readonly perAddress: number;
  /** Failed attempts of all addresses in a minute. */
  readonly total: number;
}

export const attemptLimits: AttemptLimits = { perAddress: 10, total: 100 };

const windowMs = 60_000;
/** Addresses that are remembered at a time; beyond it only the total counts. */
const maxAddresses = 10_000;

/** Counts failures, so that nobody tries tokens faster than a person would. Successes cost nothing. */
export class Attempts {
  readonly #clock: Clock;
  readonly #limits: AttemptLimits;
  #since = Number.NEGATIVE_INFINITY;
  #total = 0;
  readonly #byAddress = new Map<string, number>();

  constructor(clock: Clock, limits: AttemptLimits = attemptLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Whether one more may try now. */
  mayTry(address: string): boolean {
    this.#turn();
    return this.#total < this.#limits.total && (this.#byAddress.get(address) ?? 0) < this.#limits.perAddress;
  }

  failed(address: string): void {
    this.#turn();
    this.#total += 1;
    if (this.#byAddress.has(address) || this.#byAddress.size < maxAddresses)
      this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1);
  }

  #turn(): void {
    const now = this.#clock.monotonicMs();
    if (now - this.#since < windowMs) return;
    this.#since = now;
    this.#total = 0;
    this.#byAddress.clear();
  }
}

import type { Clock } from '../../../runtime/clock/index.ts';
import type { Fingerprint } from './fingerprint.ts';

const kept = 16;
/** Of what is seen within a second one is enough: a busy prefix would crowd out the age that a quiet one needs. */
const apartMs = 1000;

/**
 * Keys as they were seen under any of the prefixes that are followed over one session. A prefix that has been quiet for long
 * has no proof of its own that a store still holds what was written since: what its busier neighbours have seen is one.
 */
export class Landmarks {
  readonly #clock: Clock;
  /** In the order of their revisions. */
  #seen: Fingerprint[] = [];
  #lastMs = Number.NEGATIVE_INFINITY;
  #era = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Counts the stores that there were. Who follows a prefix of one that another has found replaced, and has not looked itself yet,
   * neither adds to what is known of the present one nor is proven right by it.
   */
  get era(): number {
    return this.#era;
  }

  /** @param era when the prefix was listed under which it was seen */
  note(landmark: Fingerprint | undefined, era: number): void {
    if (era !== this.#era) return;
    const newest = this.#seen.at(-1);
    if (!landmark || (newest && landmark.modRevision <= newest.modRevision)) return;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lastMs < apartMs && this.#seen.length > 1) this.#seen.pop();
    else this.#lastMs = nowMs;
    this.#seen.push(landmark);
    if (this.#seen.length > kept) this.#seen.shift();
  }

  /** The newest one that is no newer than that. */
  upTo(revision: number, era: number): Fingerprint | undefined {
    if (era !== this.#era) return undefined;
    return this.#seen.findLast(({ modRevision }) => modRevision <= revision);
  }

  /** The store is another one than it was in that era. Others who find out the same say so later. */
  forget(era: number): void {
    if (era !== this.#era) return;
    this.#era += 1;
    this.#seen = [];
  }
}

import type { Clock } from '../../../runtime/clock/index.ts';

/** Elections are over sooner, as a rule: etcd's own time for one is a second. */
const electionMs = 1500;
/** What was said so long ago says nothing of now. A linearizable read takes seven seconds to find nobody. */
const forgottenMs = 15_000;
const roundMs = 30_000;

/**
 * Decides when a member that says that it has no leader is left for another one: it may be cut off from the others, which serve
 * meanwhile. Each other endpoint is tried once in half a minute: where all of them are without a leader, nothing is won.
 */
export class Leaderless {
  readonly #clock: Clock;
  readonly #endpoints: number;
  #connection: object | undefined;
  #sinceMs = 0;
  #lastMs = 0;
  #left: number[] = [];

  constructor(clock: Clock, endpoints: number) {
    this.#clock = clock;
    this.#endpoints = endpoints;
  }

  /** The member at the other end of `connection` has said so. True when it is time to leave it. */
  said(connection: object): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (connection !== this.#connection || nowMs - this.#lastMs > forgottenMs) this.#sinceMs = nowMs;
    this.#connection = connection;
    this.#lastMs = nowMs;
    if (nowMs - this.#sinceMs < electionMs) return false;
    this.#left = this.#left.filter((leftMs) => nowMs - leftMs < roundMs);
    if (this.#left.length >= this.#endpoints - 1) return false;
    this.#left.push(nowMs);
    return true;
  }
}

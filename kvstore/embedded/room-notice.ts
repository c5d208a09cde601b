import type { Clock } from '../../runtime/clock/index.ts';

/** What a store says of its room, for a log. */
export interface RoomFacts {
  readonly state: 'full' | 'room again';
  /** Which of the two ended it, or had. */
  readonly limit: 'quota' | 'disk';
  readonly inUseBytes: number;
  readonly quotaBytes: number;
}

/** A store at its limit is full and not full in turns, with each compaction. */
const pauseMs = 60_000;

/** Says once that a store is full, and once that it is so no longer; at most one such pair a minute. */
export class RoomNotice {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #say: (facts: RoomFacts) => void;
  #told: RoomFacts['limit'] | undefined;
  #saidMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, 'monotonicMs'>, say: (facts: RoomFacts) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  /** To be called whenever it was looked at. @param limit what there is no more of; undefined: there is room */
  look(limit: RoomFacts['limit'] | undefined, sizes: Pick<RoomFacts, 'inUseBytes' | 'quotaBytes'>): void {
    if (limit !== undefined && this.#told === undefined) {
      const now = this.#clock.monotonicMs();
      if (now - this.#saidMs < pauseMs) return;
      this.#saidMs = now;
      this.#told = limit;
      this.#say({ state: 'full', limit, ...sizes });
    } else if (limit === undefined && this.#told !== undefined) {
      this.#say({ state: 'room again', limit: this.#told, ...sizes });
      this.#told = undefined;
    }
  }
}

/** A client that waits for its answer needs longer than this for its next write; one that others queue behind does not. */
const pauseMs = 0.1;
/** So many pauses in a row make a writer who is alone. */
const pauses = 8;
/** The loop may be held this long for one record. */
const shortSyncMs = 0.4;

/**
 * Tells when a sync may hold the event loop. While one writer writes, answer by answer, there is nobody to make way for, and
 * handing a short sync to a thread and back costs as much as the sync; with several, what comes meanwhile must gather.
 */
export class Pace {
  #pauses = 0;
  #started = 0;
  #ended = 0;
  /** How long syncs take, the last ones more than those before. */
  #syncMs = Infinity;

  /** A record begins: whether its writer seems to be alone, and syncs are short. */
  alone(nowMs = performance.now()): boolean {
    this.#started = nowMs;
    this.#pauses = this.#started - this.#ended > pauseMs ? this.#pauses + 1 : 0;
    return this.#pauses >= pauses && this.#syncMs < shortSyncMs;
  }

  ended(nowMs = performance.now()): void {
    this.#ended = nowMs;
    const tookMs = this.#ended - this.#started;
    this.#syncMs = this.#syncMs === Infinity ? tookMs : 0.8 * this.#syncMs + 0.2 * tookMs;
  }
}

import type { Clock } from '../../runtime/clock/index.ts';
import { toText } from '../../kvstore/index.ts';
import { decodeTime } from '../wire/index.ts';

/** Silence beyond this makes a remote cluster stale, never empty. */
export const heartbeatLimitMs = 120_000;

/**
 * When somebody last gave a sign of life by writing the time into a key. A beat that is seen to arrive counts from its arrival;
 * one found in a listing may be older than the connection, so its own time is asked (and not believed when it lies in
 * the future, which is a matter of clocks).
 */
export class LastBeat {
  readonly #clock: Clock;
  #lastMs: number | undefined;
  /** The value of the last one. */
  #said: string | undefined;
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

  listening(): void {
    this.#listeningMs ??= this.#clock.monotonicMs();
  }

  /**
   * @param how `listed` where it was found rather than seen to arrive: one that is found again is no other beat, whatever
   *   time it names, or however little of a time it is
   */
  beat(value: Uint8Array, how: 'listed' | 'arrived'): void {
    const text = toText(value);
    if (how === 'listed' && text === this.#said) return;
    this.#said = text;
    const now = this.#clock.now();
    const written = (how === 'listed' ? decodeTime(text) : undefined) ?? now;
    const at = this.#clock.monotonicMs() - Math.max(0, now - written);
    this.#lastMs = Math.max(this.#lastMs ?? at, at);
  }

  /** Its key was deleted: as if nobody had ever beaten. */
  forget(): void {
    this.#lastMs = undefined;
    this.#said = undefined;
  }
}

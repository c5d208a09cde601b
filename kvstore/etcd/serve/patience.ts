import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../../runtime/clock/index.ts';

/**
 * Closes a connection that has not said by when it must what it wants. Node's own deadline for headers runs only in an
 * HTTP server that listens itself, and counts by its own clock.
 */
export class Patience {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #ms: number;
  #timer: Timer | undefined;

  constructor(socket: Socket, clock: Clock, ms: number) {
    this.#socket = socket;
    this.#clock = clock;
    this.#ms = ms;
    this.begin();
    socket.once('close', () => this.end());
  }

  /** From now on, for as long as it was given. */
  begin(): void {
    this.end();
    if (this.#socket.destroyed) return;
    this.#timer = this.#clock.timer(this.#ms, () => this.#socket.destroy());
  }

  /** It has said what it wants. */
  end(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }
}

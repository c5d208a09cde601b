import type { OnReadOpts } from 'node:net';

/** Read into by all connections of the process, one after the other: each takes out what it got before the next one reads. */
const shared = Buffer.allocUnsafeSlow(256 * 1024);

/** What a server may say before we know whether we trust it. */
const maxEarlyBytes = 64 * 1024;

/**
 * Takes what a socket reads, without a buffer for each read: `onread` belongs into the options of `connect`. What comes
 * before somebody takes it is kept.
 */
export class Intake {
  #take: ((buffer: Buffer, from: number, to: number) => void) | undefined;
  #early: Buffer[] = [];
  #earlyBytes = 0;

  readonly onread: OnReadOpts = {
    buffer: shared,
    callback: (bytes) => {
      if (this.#take) this.#take(shared, 0, bytes);
      else if ((this.#earlyBytes += bytes) <= maxEarlyBytes) this.#early.push(Buffer.from(shared.subarray(0, bytes)));
      return true;
    },
  };

  /** From now on `take` gets everything, beginning with what has come already. It must not throw. */
  attach(take: (buffer: Buffer, from: number, to: number) => void): void {
    this.#take = take;
    const early = this.#early;
    this.#early = [];
    // More than could be kept is gone: what is left must not pass for all of it.
    const kept = this.#earlyBytes <= maxEarlyBytes ? early : [Buffer.alloc(9, 0xff)];
    for (const chunk of kept) take(chunk, 0, chunk.length);
  }
}

import type { Lease, Lock } from './lease.ts';
import type { Compare } from './transaction.ts';

/** A lock whose key goes with a lease of its own: lost when the lease is, released by revoking it. */
export class HeldLock implements Lock {
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly #lease: Lease;
  readonly #fence: Compare;

  /** @param fence the condition under which the key is still this candidate's */
  constructor(key: Uint8Array, createRevision: number, lease: Lease, fence: Compare) {
    this.key = key;
    this.createRevision = createRevision;
    this.#lease = lease;
    this.#fence = fence;
  }

  get lost(): AbortSignal {
    return this.#lease.lost;
  }

  fence(): Compare {
    return this.#fence;
  }

  release(): Promise<void> {
    return this.#lease.revoke();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

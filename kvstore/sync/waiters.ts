import type { OwnKey } from './own-keys.ts';

interface Waiter {
  /** The wish of each key that has to be fulfilled, or overtaken by a later one that is. */
  readonly open: Map<OwnKey, number>;
  /** A wish that the store will never take is as good as fulfilled. */
  readonly givesUp: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Those who wait until the wishes of some moment are fulfilled. */
export class Waiters {
  readonly #waiting = new Set<Waiter>();

  /** @param givesUp nobody waits for what the store will never take */
  async wait(keys: readonly OwnKey[], signal: AbortSignal | undefined, givesUp = false): Promise<void> {
    signal?.throwIfAborted();
    if (keys.length === 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { open: new Map(keys.map((own) => [own, own.wish])), givesUp, resolve, reject };
    const onAbort = (): void => reject(signal?.reason);
    this.#waiting.add(waiter);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#waiting.delete(waiter);
    }
  }

  /** A key's wish number `done` is fulfilled, or one was refused. */
  settle(own: OwnKey): void {
    const over = Math.max(own.done, own.refusal?.forGood ? own.refusal.wish : 0);
    for (const waiter of this.#waiting) {
      const wish = waiter.open.get(own);
      if (wish === undefined || (waiter.givesUp ? over : own.done) < wish) continue;
      waiter.open.delete(own);
      if (waiter.open.size === 0) waiter.resolve();
    }
  }

  close(error: Error): void {
    for (const waiter of this.#waiting) waiter.reject(error);
  }
}

/**
 * A queue of keys with their latest value: adding a key that waits already replaces its value and keeps its place, so
 * that the queue is bounded by the number of keys, not of events. One consumer.
 */
export class CoalescingQueue<K, V> {
  readonly #waiting = new Map<K, V>();
  #wake: (() => void) | undefined;

  get size(): number {
    return this.#waiting.size;
  }

  set(key: K, value: V): void {
    this.#waiting.set(key, value);
    this.#wake?.();
  }

  delete(key: K): boolean {
    return this.#waiting.delete(key);
  }

  /** Takes up to `max` entries, oldest first, without waiting. */
  take(max: number): [K, V][] {
    const taken: [K, V][] = [];
    for (const entry of this.#waiting) {
      if (taken.length >= max) break;
      taken.push(entry);
    }
    for (const [key] of taken) this.#waiting.delete(key);
    return taken;
  }

  /** Settles as soon as something waits. @throws the signal's reason when it aborts first. */
  async ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#waiting.size > 0) return;
    await new Promise<void>((resolve, reject) => {
      const done = (settle: () => void): void => {
        signal.removeEventListener('abort', onAbort);
        this.#wake = undefined;
        settle();
      };
      const onAbort = (): void => done(() => reject(signal.reason as Error));
      this.#wake = () => done(resolve);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}

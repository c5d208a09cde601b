/**
 * Hands values from callbacks to one `for await` loop. It does not bound itself: use it where the producer is paused by
 * {@link AsyncQueue.size} (push-back) or where the values are already coalesced.
 */
export class AsyncQueue<T> implements AsyncIterable<T> {
  #values: T[] = [];
  /** Values before it are handed over already; an array's `shift` would move all the others each time. */
  #head = 0;
  #wake: (() => void) | undefined;
  #end: { readonly error?: unknown } | undefined;

  get size(): number {
    return this.#values.length - this.#head;
  }

  push(value: T): void {
    if (this.#end) return;
    this.#values.push(value);
    this.#wake?.();
  }

  /** Ends the iteration after what waits already; with an error, the loop then throws it. */
  end(error?: unknown): void {
    this.#end ??= error === undefined ? {} : { error };
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      while (this.size > 0) yield this.#take();
      if (this.#end) {
        if ('error' in this.#end) throw this.#end.error;
        return;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }

  #take(): T {
    const value = this.#values[this.#head++] as T;
    const spent = this.#head === this.#values.length || (this.#head >= 1024 && this.#head * 2 >= this.#values.length);
    if (spent) {
      this.#values = this.#values.slice(this.#head);
      this.#head = 0;
    }
    return value;
  }
}

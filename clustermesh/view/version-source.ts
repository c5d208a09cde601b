/** A number that grows with every change, and those who wait for it to grow. */
export class VersionSource {
  #version = 0;
  #waiting: Array<{ readonly beyond: number; readonly resolve: () => void }> = [];

  get version(): number {
    return this.#version;
  }

  next(): number {
    this.#version++;
    if (this.#waiting.length > 0) this.#wake();
    return this.#version;
  }

  /** Settles when the version is beyond `version`. @throws the signal's reason when it aborts first. */
  async changed(version: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#version > version) return;
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        reject(signal.reason as Error);
      };
      const waiter = {
        beyond: version,
        resolve: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      this.#waiting.push(waiter);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #wake(): void {
    const ready = this.#waiting.filter((waiter) => waiter.beyond < this.#version);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((waiter) => waiter.beyond >= this.#version);
    for (const waiter of ready) waiter.resolve();
  }
}

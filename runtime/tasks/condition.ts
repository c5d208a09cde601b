/** Lets tasks wait until something holds that others change: they say so, the waiting ones look again. */
export class Condition {
  #waiting: Array<() => void> = [];

  notify(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const look of waiting) look();
  }

  /** Settles once `holds` is true. @throws the signal's reason when it aborts first. */
  async until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (holds()) return;
      await new Promise<void>((resolve, reject) => {
        const done = (): void => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        };
        const onAbort = (): void => {
          this.#waiting = this.#waiting.filter((other) => other !== done);
          reject(signal.reason as Error);
        };
        this.#waiting.push(done);
        signal.addEventListener('abort', onAbort, { once: true });
      });
    }
  }
}

/** Lets one task wait until another says that something may have changed. */
export class Wake {
  #pending: (() => void)[] = [];

  notify(): void {
    for (const resolve of this.#pending.splice(0)) resolve();
  }

  /** Settles at the next {@link notify}. @throws the signal's reason when it aborts first. */
  async next(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', abort, { once: true });
      this.#pending.push(() => {
        signal.removeEventListener('abort', abort);
        resolve();
      });
    });
  }
}

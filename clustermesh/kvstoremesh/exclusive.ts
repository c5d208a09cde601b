/** Runs tasks one after another, in the order in which they were given. */
export class Exclusive {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    // The next one runs whether this one fails or not; its failure is its caller's business.
    this.#last = result.catch(() => undefined);
    return result;
  }
}

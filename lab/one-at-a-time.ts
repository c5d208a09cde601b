/** Runs what concerns one thing in the order in which it was asked for; different things do not wait for each other. */
export class OneAtATime<T> {
  readonly #last = new Map<T, Promise<void>>();

  /** Settles as `task` does, which begins when all before it have ended, well or not. */
  run(thing: T, task: () => Promise<void>): Promise<void> {
    const done = (this.#last.get(thing) ?? Promise.resolve()).then(task);
    const ended = done
      .catch(() => undefined)
      .then(() => {
        if (this.#last.get(thing) === ended) this.#last.delete(thing);
      });
    this.#last.set(thing, ended);
    return done;
  }
}

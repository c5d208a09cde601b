/** Lets so many pass at a time; the others wait in the order of their coming. */
export class Turnstile {
  readonly #places: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  constructor(places: number) {
    this.#places = places;
  }

  /** Runs `work` when there is a place for it. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#taken < this.#places) this.#taken += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // Who is woken takes the place over.
      if (next) next();
      else this.#taken -= 1;
    }
  }
}

/**
 * Gives back the first of equal strings, so that a host address or namespace that ten thousand records repeat is held
 * once. Bounded: when full it forgets what it knows (records keep their strings) and begins anew.
 */
export class Interner {
  readonly #limit: number;
  readonly #known = new Map<string, string>();

  constructor(limit = 65_536) {
    this.#limit = limit;
  }

  intern(text: string): string {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    if (this.#known.size >= this.#limit) this.#known.clear();
    this.#known.set(text, text);
    return text;
  }
}

import type { Hold } from './backend.ts';

/** Revisions that somebody reads: what they show is not forgotten, although it is compacted. */
export class Holds {
  readonly #held = new Set<Held>();
  readonly #onRelease: () => void;

  /** @param onRelease called when more may be forgotten than before */
  constructor(onRelease: () => void) {
    this.#onRelease = onRelease;
  }

  add(revision: number): Hold {
    const held: Held = { revision, lost: false };
    this.#held.add(held);
    return {
      get lost() {
        return held.lost;
      },
      [Symbol.dispose]: () => {
        if (this.#held.delete(held)) this.#onRelease();
      },
    };
  }

  /** How far may be forgotten what is compacted up to `revision`. */
  within(revision: number): number {
    let least = revision;
    for (const held of this.#held) least = Math.min(least, held.revision);
    return least;
  }

  /** There is no room for what they keep. */
  drop(): void {
    if (this.#held.size === 0) return;
    for (const held of this.#held) held.lost = true;
    this.#held.clear();
    this.#onRelease();
  }
}

interface Held {
  readonly revision: number;
  lost: boolean;
}

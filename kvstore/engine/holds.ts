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

  /** There is no room for what they keep of what is compacted up to `revision`. Those behind it keep nothing. */
  drop(revision: number): void {
    let dropped = false;
    for (const held of this.#held) {
      if (held.revision >= revision) continue;
      dropped = held.lost = true;
      this.#held.delete(held);
    }
    if (dropped) this.#onRelease();
  }
}

interface Held {
  readonly revision: number;
  lost: boolean;
}

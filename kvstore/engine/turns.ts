import type { Steps } from './steps.ts';

/** Milliseconds that all long work together may hold one turn of the event loop. */
const turnMs = 4;

export interface TurnOptions {
  /** Whoever the work is for: owners take turns, and the work of one of them does. */
  readonly owner?: unknown;
  /** Called after each wait; may throw to give the work up. */
  readonly between?: () => void;
}

/**
 * Shares the event loop among long pieces of work: one turn of it (timers, sockets, then this) has so much time for all of
 * them, and who has not finished by then goes behind the others. So neither one long piece nor thousands of short ones
 * that were asked for at once keep answers, watches and keep-alives from anybody.
 */
export class Turns {
  /** By owner, the one whose turn is next first. */
  readonly #waiting = new Map<unknown, (() => void)[]>();
  #usedMs = 0;
  /** Within work whose time is being taken. */
  #counting = false;
  #scheduled = false;

  /** Does `steps`, beginning now if this turn has time left. Whatever ends the work closes the steps. */
  async take<T>(steps: Steps<T>, { owner, between }: TurnOptions = {}): Promise<T> {
    try {
      for (let wait = this.#ready(owner); ; wait = this.#next(owner)) {
        if (wait) {
          await wait;
          between?.();
        }
        const done = this.#slice(steps);
        if (done) return done.value;
      }
    } finally {
      steps.return(undefined as T);
    }
  }

  /** Begins something when there is time for it: now, if this turn has some left. What it does at once counts. */
  async once<T>(work: () => Promise<T>, owner?: unknown): Promise<T> {
    const wait = this.#ready(owner);
    if (wait) await wait;
    return await this.spend(work);
  }

  /** Does what cannot be interrupted in some later turn. */
  async later(work: () => void, owner?: unknown): Promise<void> {
    await this.#next(owner);
    this.spend(work);
  }

  /** Does what cannot be interrupted now, and counts the time it took. */
  spend<T>(work: () => T): T {
    if (this.#counting) return work();
    const started = performance.now();
    this.#counting = true;
    try {
      return work();
    } finally {
      this.#counting = false;
      this.#used(performance.now() - started);
    }
  }

  #ready(owner: unknown): Promise<void> | undefined {
    return this.#usedMs >= turnMs || this.#waiting.size > 0 ? this.#next(owner) : undefined;
  }

  #slice<T>(steps: Steps<T>): { readonly value: T } | undefined {
    return this.spend(() => {
      const started = performance.now();
      do {
        const step = steps.next();
        if (step.done) return { value: step.value };
      } while (this.#usedMs + performance.now() - started < turnMs);
      return undefined;
    });
  }

  #used(ms: number): void {
    this.#usedMs += ms;
    // Short work of several turns is added up, which costs less than to have each of them end.
    if (this.#usedMs < turnMs) this.#wake();
    else this.#schedule();
  }

  #next(owner: unknown): Promise<void> {
    return new Promise((resolve) => {
      const own = this.#waiting.get(owner);
      if (own) own.push(resolve);
      else this.#waiting.set(owner, [resolve]);
      this.#schedule();
    });
  }

  #wake(): void {
    for (const [owner, own] of this.#waiting) {
      const first = own.shift();
      this.#waiting.delete(owner);
      if (own.length > 0) this.#waiting.set(owner, own);
      first?.();
      return;
    }
  }

  /** What is scheduled now runs when timers and sockets have had their turn. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#usedMs = 0;
      this.#wake();
      if (this.#waiting.size > 0) this.#schedule();
    });
  }
}

/** There is one event loop, and so one of these. */
export const turns = new Turns();

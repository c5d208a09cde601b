import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import type { Wake } from './wake.ts';

export interface IdentityOpeningOptions {
  /** Nodes that are to be heard; undefined until they were listed. */
  readonly nodes: () => readonly string[] | undefined;
  /** Whether they were asked: before, nobody is late. */
  readonly asked: () => boolean;
  /** Nodes whose agents have said which identities they use. */
  readonly spoken: () => ReadonlySet<string>;
  /** Notified when one of these may have changed. */
  readonly wake: Wake;
  readonly clock: Clock;
  readonly log: Logger;
  /** Nobody is waited for longer, counted from the moment when the nodes are known and asked; 0: nobody is waited for. */
  readonly longestMs: number;
}

/** What is said comes by another watch than what wakes us. */
const lookMs = 100;

/**
 * Decides when new identities may be given. A store may have been lost or put back while agents go on with the numbers
 * of its earlier life in their kernels: until each of them has said what its numbers mean, a number that looks free may
 * not be.
 */
export class IdentityOpening {
  readonly #options: IdentityOpeningOptions;
  #isOpen: boolean;

  constructor(options: IdentityOpeningOptions) {
    this.#options = options;
    this.#isOpen = options.longestMs === 0;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Nodes that hold new identities back. */
  waitingFor(): readonly string[] {
    return this.#isOpen ? [] : (this.#missing() ?? []);
  }

  /** From now on nothing is given again, until those who hold numbers have spoken anew. */
  close(): void {
    this.#isOpen = this.#options.longestMs === 0;
  }

  /** Settles once new identities may be given. */
  async opened(signal: AbortSignal): Promise<void> {
    const { clock, wake, log, longestMs } = this.#options;
    let until: number | undefined;
    while (!this.#isOpen) {
      const missing = this.#missing();
      if (!this.#options.asked()) until = undefined;
      else if (missing) until ??= clock.monotonicMs() + longestMs;
      const leftMs = until === undefined ? lookMs : until - clock.monotonicMs();
      if (missing?.length === 0 || leftMs <= 0) {
        this.#isOpen = true;
        if (missing && missing.length > 0)
          log.warn('New identities are given although some nodes have not said which ones they use', {
            nodes: missing,
            [fields.hint]: 'A number that such a node still uses may get another meaning, if the store was lost before',
          });
        return;
      }
      using _timer = clock.timer(Math.min(lookMs, leftMs), () => wake.notify());
      await wake.next(signal);
    }
  }

  #missing(): readonly string[] | undefined {
    const spoken = this.#options.spoken();
    return this.#options.nodes()?.filter((node) => !spoken.has(node));
  }
}

import type { Clock } from '../../runtime/clock/index.ts';

export interface OwnSetGateOptions {
  readonly clock: Clock;
  /** A node that has not spoken this long after it was first seen ready no longer holds anything back. */
  readonly silentAfterMs: number;
}

/**
 * Says when the set of nodes and addresses in the store is complete: when the agent of every node that is ready has said
 * `isthmus/v1/own-set/<node>`. Only agents can know, since they write those keys.
 */
export class OwnSetGate {
  readonly #options: OwnSetGateOptions;
  readonly #spoken = new Set<string>();
  readonly #readySince = new Map<string, number>();
  #notReady: readonly string[] = [];
  /** True once it is known which agents have spoken. */
  listed = false;

  constructor(options: OwnSetGateOptions) {
    this.#options = options;
  }

  /** An agent has said, or no longer says, that its set is complete. */
  own(node: string, complete: boolean): void {
    if (complete) this.#spoken.add(node);
    else this.#spoken.delete(node);
  }

  /** The nodes that are ready now, and those that are not and hold nothing back. */
  expect(ready: Iterable<string>, notReady: readonly string[] = []): void {
    this.#notReady = notReady;
    const now = this.#options.clock.monotonicMs();
    const names = new Set(ready);
    for (const name of this.#readySince.keys()) if (!names.has(name)) this.#readySince.delete(name);
    for (const name of names) if (!this.#readySince.has(name)) this.#readySince.set(name, now);
  }

  /** Nodes that hold the canaries back. */
  waitingFor(): string[] {
    return this.#missing().filter((node) => this.#dueMs(node) > 0);
  }

  /** Nodes that have not spoken, and are not waited for: since they are not ready, or any longer. */
  silent(): string[] {
    const overdue = this.#missing().filter((node) => this.#dueMs(node) <= 0);
    // Before the marks were listed nobody knows who has spoken.
    const away = this.listed ? this.#notReady.filter((node) => !this.#spoken.has(node)) : [];
    return [...overdue, ...away].toSorted();
  }

  /** Milliseconds until the next node that is waited for counts as silent. */
  nextChangeMs(): number | undefined {
    const due = this.waitingFor().map((node) => this.#dueMs(node));
    return due.length === 0 ? undefined : Math.min(...due);
  }

  #missing(): string[] {
    return [...this.#readySince.keys()].filter((node) => !this.#spoken.has(node)).toSorted();
  }

  #dueMs(node: string): number {
    const { clock, silentAfterMs } = this.#options;
    return (this.#readySince.get(node) ?? 0) + silentAfterMs - clock.monotonicMs();
  }
}

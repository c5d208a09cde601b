import { type Store, toText } from '../../kvstore/index.ts';
import { StoreChangedError } from './errors.ts';

/**
 * The marks by which a writer says that a set of keys is complete: a cluster's canaries, or what an apiserver of ours
 * writes for its agents. Seen once in a connection, a mark counts; that it goes later means nothing (kvstore-schema §1.1).
 */
export class SyncMarks {
  readonly #prefix: string;
  readonly #seen = new Set<string>();
  #waiting: Array<() => void> = [];

  /** Marks are the keys below `prefix`; their names are what follows it. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  has(name: string): boolean {
    return this.#seen.has(name);
  }

  /** Follows the marks over one connection. @throws {StoreChangedError} when another store answers than at first. */
  async follow(store: Pick<Store, 'listAndWatch'>, signal: AbortSignal): Promise<void> {
    let started = false;
    for await (const batch of store.listAndWatch(this.#prefix, { signal })) {
      if (batch.type === 'restart') {
        if (started && batch.reason === 'store-replaced') throw new StoreChangedError();
        started = true;
      }
      if (batch.type !== 'changes') continue;
      for (const event of batch.events)
        if (event.type === 'put') this.#seen.add(toText(event.entry.key).slice(this.#prefix.length));
      for (const look of this.#waiting) look();
    }
  }

  /** Settles once the mark `name` was seen. @throws the signal's reason when it aborts first. */
  async present(name: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#seen.has(name)) return;
    await new Promise<void>((resolve, reject) => {
      const done = (settle: () => void): void => {
        this.#waiting = this.#waiting.filter((other) => other !== look);
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const onAbort = (): void => done(() => reject(signal.reason as Error));
      const look = (): void => {
        if (this.#seen.has(name)) done(resolve);
      };
      this.#waiting.push(look);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}

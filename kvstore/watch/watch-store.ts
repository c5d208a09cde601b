import { fields, type Logger } from '../../runtime/log/index.ts';
import type { Bytes, RestartReason, Store, WatchBatch, WatchEvent } from '../contract/index.ts';
import { toBytes, toText } from '../contract/index.ts';
import { KnownKeys } from './known-keys.ts';
import type { WatchObserver } from './watch-observer.ts';

/** All that a watch store needs of a store. */
export type WatchableStore = Pick<Store, 'listAndWatch'>;

export interface WatchStoreOptions {
  readonly store: WatchableStore;
  readonly prefix: Bytes;
  readonly observer: WatchObserver;
  readonly log: Logger;
}

/** What a watch store has seen since it was made. */
export interface WatchStoreCounts {
  readonly upserts: number;
  readonly removes: number;
  /** Removals among `removes` that a listing revealed, rather than an event. */
  readonly swept: number;
  /** Listings begun. */
  readonly restarts: number;
  /** Events that the observer refused by throwing, and keys that are no UTF-8. */
  readonly failures: number;
}

/**
 * Follows one prefix of one store and tells an observer, across restarts of the listing and across runs (also with
 * another store after a reconnect): nothing is removed before a listing is complete; then exactly what it lacked is.
 * Remembers keys, not values.
 */
export class WatchStore {
  readonly #store: WatchableStore;
  readonly #prefix: Uint8Array;
  readonly #observer: WatchObserver;
  readonly #log: Logger;
  readonly #known = new KnownKeys();
  readonly #counts = { upserts: 0, removes: 0, swept: 0, restarts: 0, failures: 0 };
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #running = false;
  #synced = false;
  #revision = 0;

  constructor(options: WatchStoreOptions) {
    this.#store = options.store;
    this.#prefix = toBytes(options.prefix);
    this.#observer = options.observer;
    this.#log = options.log.child({ [fields.prefix]: toText(this.#prefix) });
  }

  /** True while what was told equals a complete listing that is being followed: from `synced` to restart or end of run. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Keys known at present. */
  get size(): number {
    return this.#known.size;
  }

  /** The store's revision up to which everything was told. */
  get revision(): number {
    return this.#revision;
  }

  get counts(): WatchStoreCounts {
    return { ...this.#counts };
  }

  /**
   * Follows the prefix until `signal` aborts (then it returns) or the store gives up (then it throws). What is known stays
   * known, so that a later run removes what has gone in between. Not to be run twice at a time.
   */
  async run(signal: AbortSignal, store: WatchableStore = this.#store): Promise<void> {
    if (this.#running) throw new Error(`Cannot follow ${toText(this.#prefix)} twice at a time`);
    this.#running = true;
    try {
      for await (const batch of store.listAndWatch(this.#prefix, { signal })) this.#apply(batch);
    } finally {
      this.#running = false;
      this.#synced = false;
    }
  }

  /**
   * Tells the observer of a key that an earlier life knew. It is known from now on like any other, and gone when the next
   * complete listing lacks it. Only between runs.
   */
  assume(key: string, value: Uint8Array): void {
    if (this.#running) throw new Error(`Cannot assume keys of ${toText(this.#prefix)} while it is being followed`);
    const failures = new Failures(this.#log);
    this.#known.see(key);
    this.#counts.upserts += 1;
    failures.guard(key, () => this.#observer.upsert(key, value, { revision: 0 }));
    this.#counts.failures += failures.report();
  }

  /** Removes everything known, as when a cluster has left. Only between runs. */
  drain(): void {
    if (this.#running) throw new Error(`Cannot drain ${toText(this.#prefix)} while it is being followed`);
    const failures = new Failures(this.#log);
    for (const key of this.#known.drain()) this.#remove(key, failures);
    this.#counts.failures += failures.report();
    this.#revision = 0;
  }

  #apply(batch: WatchBatch): void {
    const failures = new Failures(this.#log);
    switch (batch.type) {
      case 'restart':
        this.#restart(batch.reason, failures);
        break;
      case 'changes':
        for (const event of batch.events) this.#change(event, failures);
        this.#revision = batch.revision;
        break;
      case 'synced':
        this.#finishListing(batch.revision, failures);
        break;
    }
    this.#counts.failures += failures.report();
  }

  #restart(reason: RestartReason, failures: Failures): void {
    this.#known.startListing();
    this.#synced = false;
    this.#counts.restarts += 1;
    if (reason !== 'start') this.#log.info('Listing again', { reason, known: this.#known.size });
    failures.guard('', () => this.#observer.restart?.(reason));
  }

  #change(event: WatchEvent, failures: Failures): void {
    const bytes = event.type === 'put' ? event.entry.key : event.key;
    let key = '';
    try {
      key = this.#decoder.decode(bytes.subarray(this.#prefix.length));
    } catch (error) {
      failures.add(toText(bytes), error);
      return;
    }
    if (event.type === 'put') {
      this.#known.see(key);
      this.#counts.upserts += 1;
      const { value, modRevision } = event.entry;
      failures.guard(key, () => this.#observer.upsert(key, value, { revision: modRevision }));
    } else if (this.#known.forget(key)) this.#remove(key, failures);
  }

  #finishListing(revision: number, failures: Failures): void {
    for (const key of this.#known.sweep()) {
      this.#counts.swept += 1;
      this.#remove(key, failures);
    }
    this.#revision = revision;
    this.#synced = true;
    failures.guard('', () => this.#observer.synced?.());
  }

  #remove(key: string, failures: Failures): void {
    this.#counts.removes += 1;
    failures.guard(key, () => this.#observer.remove(key));
  }
}

/** Failures of one batch: the first is logged, the others are counted, so that one bad writer does not flood the log. */
class Failures {
  readonly #log: Logger;
  #count = 0;
  #first: { readonly key: string; readonly error: unknown } | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  guard(key: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.add(key, error);
    }
  }

  add(key: string, error: unknown): void {
    this.#count += 1;
    this.#first ??= { key, error };
  }

  report(): number {
    if (this.#first)
      this.#log.warn('Observer refused an event', {
        [fields.key]: this.#first.key,
        [fields.error]: this.#first.error,
        [fields.count]: this.#count,
      });
    return this.#count;
  }
}

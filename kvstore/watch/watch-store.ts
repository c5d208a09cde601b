import { fields, type Logger } from '../../runtime/log/index.ts';
import type { Bytes, PackedChanges, RestartReason, Store, WatchBatch, WatchEvent } from '../contract/index.ts';
import { toBytes, toText } from '../contract/index.ts';
import { KnownKeys } from './known-keys.ts';
import type { RowObserver, WatchObserver } from './watch-observer.ts';

/** All that a watch store needs of a store. */
export type WatchableStore = Pick<Store, 'listAndWatch'>;

export interface WatchStoreOptions {
  readonly store: WatchableStore;
  readonly prefix: Bytes;
  readonly observer: WatchObserver;
  readonly log: Logger;
  /**
   * Asked before anything that has gone is removed; while it says no, what is known stays known, beyond the end of a listing too, and the
   * next listing that may remove does so. Whoever says no lists again later. Always yes unless given.
   */
  readonly mayRemove?: () => boolean;
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
 * Remembers keys, not values; of keys that an observer keeps as rows, nothing at all.
 */
export class WatchStore {
  readonly #store: WatchableStore;
  readonly #prefix: Uint8Array;
  readonly #observer: WatchObserver;
  readonly #rows: RowObserver | undefined;
  readonly #log: Logger;
  readonly #mayRemove: () => boolean;
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
    this.#rows = options.observer.rows;
    this.#mayRemove = options.mayRemove ?? (() => true);
    this.#log = options.log.child({ [fields.prefix]: toText(this.#prefix) });
  }

  /** True while what was told equals a complete listing that is being followed: from `synced` to restart or end of run. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Keys known at present. */
  get size(): number {
    return this.#known.size + (this.#rows?.size ?? 0);
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
    const keyBytes = toBytes(key);
    this.#counts.upserts += 1;
    if (!this.#rows?.put(keyBytes, 0, keyBytes.length, value, 0, value.length)) this.#put(key, value, 0, failures);
    this.#counts.failures += failures.report();
  }

  /** Removes everything known, as when a cluster has left. Only between runs. */
  drain(): void {
    if (this.#running) throw new Error(`Cannot drain ${toText(this.#prefix)} while it is being followed`);
    const failures = new Failures(this.#log);
    for (const key of this.#known.drain()) this.#remove(key, failures);
    this.#counts.removes += this.#rows?.drain() ?? 0;
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
        if (this.#rows && batch.packed) this.#changePacked(batch.packed, failures);
        else for (const event of batch.events) this.#change(event, failures);
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
    this.#rows?.startListing();
    this.#synced = false;
    this.#counts.restarts += 1;
    if (reason !== 'start') this.#log.info('Listing again', { reason, known: this.size });
    failures.guard('', () => this.#observer.restart?.(reason));
  }

  #change(event: WatchEvent, failures: Failures): void {
    if (event.type === 'delete') {
      this.#changeDelete(event.key, this.#prefix.length, event.key.length, failures);
      return;
    }
    const { key, value, modRevision } = event.entry;
    this.#changePut(key, this.#prefix.length, key.length, value, 0, value.length, modRevision, failures);
  }

  #changePacked(packed: PackedChanges, failures: Failures): void {
    const { length, buffers, spans, revisions } = packed;
    const skipped = this.#prefix.length;
    for (let i = 0; i < length; i++) {
      const bytes = buffers[i] as Uint8Array;
      const keyStart = (spans[4 * i] as number) + skipped;
      const keyEnd = spans[4 * i + 1] as number;
      const start = spans[4 * i + 2] as number;
      if (start < 0) this.#changeDelete(bytes, keyStart, keyEnd, failures);
      else
        this.#changePut(
          bytes,
          keyStart,
          keyEnd,
          bytes,
          start,
          spans[4 * i + 3] as number,
          revisions[i] as number,
          failures,
        );
    }
  }

  #changePut(
    keyBytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    revision: number,
    failures: Failures,
  ): void {
    const rows = this.#rows;
    if (rows !== undefined) {
      let taken = false;
      try {
        taken = rows.put(keyBytes, keyStart, keyEnd, bytes, start, end);
      } catch (error) {
        failures.add(toText(keyBytes.subarray(keyStart, keyEnd)), error);
        return;
      }
      if (taken) {
        this.#counts.upserts += 1;
        // A row now; before, it may have been a key whose value was no row.
        if (this.#known.size > 0) this.#known.forget(toText(keyBytes.subarray(keyStart, keyEnd)));
        return;
      }
    }
    const key = this.#keyText(keyBytes, keyStart, keyEnd, failures);
    if (key === undefined) return;
    this.#counts.upserts += 1;
    const value = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
    this.#put(key, value, revision, failures);
  }

  #changeDelete(keyBytes: Uint8Array, keyStart: number, keyEnd: number, failures: Failures): void {
    if (!this.#mayRemove()) return;
    if (this.#rows?.delete(keyBytes, keyStart, keyEnd)) {
      this.#counts.removes += 1;
      if (this.#known.size > 0) this.#known.forget(toText(keyBytes.subarray(keyStart, keyEnd)));
      return;
    }
    const key = this.#keyText(keyBytes, keyStart, keyEnd, failures);
    if (key === undefined) return;
    if (this.#known.forget(key) || this.#rows?.has(key)) this.#remove(key, failures);
  }

  /** A key that is no row, as far as we know. */
  #put(key: string, value: Uint8Array, revision: number, failures: Failures): void {
    failures.guard(key, () => this.#observer.upsert(key, value, { revision }));
    if (this.#rows?.see(key)) this.#known.forget(key);
    else this.#known.see(key);
  }

  #keyText(bytes: Uint8Array, start: number, end: number, failures: Failures): string | undefined {
    try {
      return this.#decoder.decode(bytes.subarray(start, end));
    } catch (error) {
      failures.add(toText(bytes.subarray(start - this.#prefix.length, end)), error);
      return undefined;
    }
  }

  #finishListing(revision: number, failures: Failures): void {
    if (this.#mayRemove()) this.#sweep(failures);
    this.#revision = revision;
    this.#synced = true;
    failures.guard('', () => this.#observer.synced?.());
  }

  #sweep(failures: Failures): void {
    for (const key of this.#known.sweep()) {
      this.#counts.swept += 1;
      this.#remove(key, failures);
    }
    const swept = this.#rows?.sweep() ?? 0;
    this.#counts.swept += swept;
    this.#counts.removes += swept;
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

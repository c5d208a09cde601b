import type { Clock } from '../../runtime/clock/index.ts';
import { fields, type Logger } from '../../runtime/log/index.ts';
import { CoalescingQueue } from '../../runtime/queue/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import type { Bytes, KeyValue, Store } from '../contract/index.ts';
import {
  ClosedError,
  FencedError,
  InvalidRequestError,
  KvStoreError,
  LeaseNotFoundError,
  NoSpaceError,
  toBytes,
} from '../contract/index.ts';
import { findStrayed, flush, transactionsOf } from './flush.ts';
import { keepFormer } from './keep-former.ts';
import { LeasePool, type LeaseSlot } from './lease-pool.ts';
import { type OwnKey, refused, settled } from './own-keys.ts';
import { sweepLeftovers } from './sweep.ts';
import type { SyncMetrics } from './sync-metrics.ts';
import { Waiters } from './waiters.ts';

/** All that a sync store needs of a store. */
export type SyncableStore = Pick<Store, 'transact' | 'grantLease' | 'list' | 'limits'>;

export interface SyncStoreOptions {
  readonly store: SyncableStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** What is published here, in one word, for logs and metrics. */
  readonly scope: string;
  /** Our keys go this long after our last sign of life. */
  readonly leaseTtlSeconds: number;
  readonly maxKeysPerLease?: number;
  /** Every so often all keys are compared with the store, and repaired; 5 min unless told. */
  readonly reassertMs?: number;
  readonly metrics?: SyncMetrics;
  readonly random?: () => number;
}

const batchSize = 120;
const backoff = exponential({ firstMs: 50, maxMs: 10_000 });
/** Attempts that fail in a row before anybody is told. */
const newsAfter = 3;
/** What is refused for want of a right is tried again this often: nobody tells that it was given. */
const rightsMs = 15_000;

/**
 * Publishes our own keys: what was `set` is in the store, under our lease, and stays there although leases expire, stores
 * are wiped and others interfere; what was `delete`d goes, unless somebody else has written it since. One write at a time,
 * many keys in each. `set` and `delete` only note the wish; `run` carries it out.
 *
 * Disposing withdraws nothing: the keys stay until their leases expire, and a later life takes them over without a gap.
 */
export class SyncStore implements AsyncDisposable {
  readonly #options: SyncStoreOptions;
  readonly #log: Logger;
  readonly #keys = new Map<string, OwnKey>();
  readonly #queue = new CoalescingQueue<string, OwnKey>();
  readonly #waiters = new Waiters();
  readonly #pool: LeasePool;
  /** Keys of which something was refused, until another value of theirs is in the store. */
  readonly #refused = new Set<OwnKey>();
  #failure: string | undefined;
  #wishes = 0;
  #running = false;
  #closed = false;

  constructor(options: SyncStoreOptions) {
    this.#options = options;
    this.#log = options.log.child({ scope: options.scope });
    this.#pool = new LeasePool({
      store: options.store,
      ttlSeconds: options.leaseTtlSeconds,
      maxKeys: options.maxKeysPerLease ?? 1000,
      onLost: (slot) => this.#rewrite(slot),
    });
  }

  /** Keys that are to be in the store. */
  get size(): number {
    let size = 0;
    for (const own of this.#keys.values()) if (own.desired) size += 1;
    return size;
  }

  /** Keys that wait to be written, deleted or compared. */
  get queued(): number {
    return this.#queue.size;
  }

  /** Why nothing can be written at present, as the store says it; undefined while writing goes on, or has only just failed. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Keys that the store refuses, with what it says: a right is missing, or it will never take the value, and the one before stays. */
  get refusals(): ReadonlyMap<string, string> {
    return new Map(
      [...this.#refused].flatMap(({ key, wish, refusal }) => (refusal?.wish === wish ? [[key, refusal.reason]] : [])),
    );
  }

  /** Whether a lease is one of ours, and renewed. */
  renews(leaseId: bigint): boolean {
    return this.#pool.renews(leaseId);
  }

  /** Wishes that this key has this value; a value that is wished already is no change. The bytes must not change later. */
  set(key: string, value: Bytes): void {
    const desired = toBytes(value);
    const own = this.#keys.get(key);
    if (own?.desired && Buffer.compare(own.desired, desired) === 0) return;
    this.#wish(own ?? this.#add(key), desired);
  }

  /** Wishes a key away. Only what we wrote is deleted: a key that another has written since stays, an unknown one too. */
  delete(key: string): void {
    const own = this.#keys.get(key);
    if (own?.desired) this.#wish(own, undefined);
  }

  /** Settles when everything wished so far is in the store. @throws {ClosedError} when this store is disposed of before. */
  async synced(signal?: AbortSignal): Promise<void> {
    if (this.#closed) throw closedError();
    await this.#waiters.wait(
      [...this.#keys.values()].filter((own) => !settled(own)),
      signal,
    );
  }

  /** As {@link synced}, but nobody waits for what the store will never take: {@link refusals} has that. */
  async written(signal?: AbortSignal): Promise<void> {
    if (this.#closed) throw closedError();
    await this.#waiters.wait(
      [...this.#keys.values()].filter((own) => !settled(own) && !refused(own)),
      signal,
      true,
    );
  }

  /** Carries wishes out until `signal` aborts. Ends with an error only when the store was closed. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#running) throw new Error('Cannot run a sync store twice at a time');
    this.#running = true;
    try {
      await using tasks = new TaskGroup(signal);
      tasks.run((running) => this.#flushForever(running));
      tasks.run((running) => this.#reassertForever(running));
      await tasks.wait();
    } finally {
      this.#running = false;
    }
  }

  /**
   * Deletes what an earlier life left under `prefix`: keys that `isOurs` recognises and that are not wished. To be called
   * once the wishes are complete and `synced`. Gives the number of deleted keys.
   */
  async sweep(prefix: Bytes, isOurs: (key: string, entry: KeyValue) => boolean, signal?: AbortSignal): Promise<number> {
    const isLeftover = (key: string, entry: KeyValue): boolean => !this.#keys.has(key) && isOurs(key, entry);
    const count = await sweepLeftovers(this.#options.store, prefix, isLeftover, signal);
    if (count > 0) this.#log.info('Removed keys of an earlier life', { [fields.count]: count });
    return count;
  }

  /** Compares every key with the store, and writes again what is not as it should be; as every so often anyway. */
  reassert(): void {
    for (const own of this.#keys.values()) this.#enqueue(own);
  }

  /** Leaves: deletes all our keys and revokes our leases, whether `run` is under way or not. */
  async withdraw(signal: AbortSignal = new AbortController().signal): Promise<void> {
    for (const own of this.#keys.values()) this.delete(own.key);
    await using tasks = new TaskGroup(signal);
    if (!this.#running) tasks.run((running) => this.#flushForever(running));
    await this.synced(tasks.signal);
    await this.#pool.revokeAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#waiters.close(closedError());
    await this.#pool[Symbol.asyncDispose]();
  }

  #add(key: string): OwnKey {
    const own: OwnKey = {
      key,
      desired: undefined,
      wish: 0,
      done: 0,
      refusal: undefined,
      slot: undefined,
      stored: undefined,
      doubtful: false,
    };
    this.#keys.set(key, own);
    return own;
  }

  #wish(own: OwnKey, desired: Uint8Array | undefined): void {
    own.desired = desired;
    own.wish = ++this.#wishes;
    this.#enqueue(own);
  }

  #enqueue(own: OwnKey): void {
    this.#queue.set(own.key, own);
    this.#options.metrics?.queueSize?.(this.#queue.size);
  }

  #rewrite(slot: LeaseSlot): void {
    if (this.#closed) return;
    this.#log.warn('Lease lost, writing its keys again', { [fields.count]: slot.keys.size });
    this.#options.metrics?.leaseLost?.();
    for (const key of slot.keys) {
      const own = this.#keys.get(key);
      if (own?.slot === slot) this.#wish(own, own.desired);
    }
  }

  async #flushForever(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    await retry((running) => this.#flushUntilFailure(running), {
      clock,
      signal,
      schedule: backoff,
      healthyAfterMs: 5000,
      retryable: (error) => !(error instanceof ClosedError) && !(error instanceof FencedError),
      onFailure: (error, failures, delayMs) => {
        this.#options.metrics?.error?.();
        const facts = { [fields.error]: error, [fields.attempt]: failures, [fields.delayMs]: Math.round(delayMs) };
        // A short interruption is no news for an operator.
        if (failures >= newsAfter) this.#failure = error instanceof Error ? error.message : String(error);
        this.#log[failures < newsAfter ? 'debug' : 'warn']('Writing failed, will be repeated', facts);
      },
      ...(random ? { random } : {}),
    });
  }

  async #flushUntilFailure(signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.#queue.ready(signal);
      const taken = this.#queue.take(batchSize).map(([, own]) => own);
      try {
        await this.#flushBatch(taken, signal);
      } finally {
        this.#finish(taken);
      }
    }
  }

  async #flushBatch(taken: readonly OwnKey[], signal: AbortSignal): Promise<void> {
    const toCompare = taken.filter((own) => settled(own) && own.desired);
    try {
      const open = taken.filter((own) => !settled(own));
      for (const part of transactionsOf(open, this.#options.store.limits)) await this.#flushPart(part, signal);
      if (toCompare.length > 0) await this.#compare(toCompare, signal);
      this.#failure = undefined;
    } catch (error) {
      for (const own of taken) if (!settled(own)) this.#enqueue(own);
      throw error;
    }
  }

  /** Writes one transaction; where the store refuses it for good, looks for the keys at fault so that the rest gets in. */
  async #flushPart(part: readonly OwnKey[], signal: AbortSignal): Promise<void> {
    const [only, ...others] = part;
    const wish = only?.wish ?? 0;
    try {
      await flush(part, { store: this.#options.store, pool: this.#pool }, signal);
      this.#options.metrics?.flushed?.(part.length);
    } catch (error) {
      if (error instanceof LeaseNotFoundError) {
        // Which one, the error does not say; taking a healthy lease out of use costs one more write of its keys.
        for (const slot of new Set(part.map((own) => own.slot))) if (slot) this.#pool.lose(slot);
        throw error;
      }
      if (!isRefusal(error)) throw error;
      if (only && others.length === 0) {
        await this.#refuse(only, wish, error, signal);
        return;
      }
      const half = part.length >>> 1;
      await this.#flushPart(part.slice(0, half), signal);
      await this.#flushPart(part.slice(half), signal);
    }
  }

  async #refuse(own: OwnKey, wish: number, error: KvStoreError, signal: AbortSignal): Promise<void> {
    this.#options.metrics?.error?.();
    if (own.refusal?.reason !== error.message)
      this.#log.error('Store refuses a key', { [fields.key]: own.key, [fields.error]: error });
    // Who lacks a right may get it; a value that is too large stays so.
    const forGood = error instanceof InvalidRequestError && own.desired !== undefined;
    own.refusal = { wish, reason: error.message, forGood };
    this.#refused.add(own);
    if (!forGood) return;
    try {
      await keepFormer(own, { store: this.#options.store, pool: this.#pool }, signal);
    } catch (again) {
      if (!isRefusal(again)) throw again;
    }
  }

  async #compare(keys: readonly OwnKey[], signal: AbortSignal): Promise<void> {
    const strayed = await findStrayed(keys, { store: this.#options.store, pool: this.#pool }, signal);
    for (const own of strayed) if (settled(own)) this.#wish(own, own.desired);
    if (strayed.length === 0) return;
    this.#options.metrics?.repaired?.(strayed.length);
    this.#log.warn('Own keys were changed by others, writing them again', {
      [fields.key]: strayed[0]?.key,
      [fields.count]: strayed.length,
    });
  }

  #finish(taken: readonly OwnKey[]): void {
    for (const own of taken) {
      this.#waiters.settle(own);
      if (settled(own)) this.#refused.delete(own);
      if (settled(own) && !own.desired && this.#keys.get(own.key) === own) this.#keys.delete(own.key);
    }
    this.#options.metrics?.queueSize?.(this.#queue.size);
  }

  /** Everything goes through the queue now and then: what is settled gets compared, what was refused gets another try. */
  async #reassertForever(signal: AbortSignal): Promise<void> {
    const { clock, reassertMs = 300_000 } = this.#options;
    let doneMs = clock.monotonicMs();
    for (;;) {
      await clock.sleep(Math.min(rightsMs, Math.max(0, doneMs + reassertMs - clock.monotonicMs())), signal);
      if (clock.monotonicMs() - doneMs >= reassertMs) {
        this.reassert();
        doneMs = clock.monotonicMs();
      } else for (const own of this.#refused) if (own.refusal?.forGood === false) this.#enqueue(own);
    }
  }
}

/** True where repeating the same transaction is pointless but parts of it may pass. */
function isRefusal(error: unknown): error is KvStoreError {
  return (
    error instanceof KvStoreError &&
    error.retry === 'never' &&
    !(error instanceof ClosedError) &&
    !(error instanceof FencedError) &&
    !(error instanceof NoSpaceError)
  );
}

function closedError(): ClosedError {
  return new ClosedError('Cannot publish: the sync store is closed');
}

import {
  type Compare,
  InvalidRequestError,
  LeaseNotFoundError,
  LeasePool,
  type LeaseSlot,
  PermissionDeniedError,
  type Store,
  toText,
} from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { clusterConfigKey, ownSyncedPrefix, syncedPrefix } from '../wire/index.ts';
import type { PublishedSet } from './published-sets.ts';

export interface CaretakerOptions {
  readonly clusterName: string;
  readonly sets: readonly PublishedSet[];
  readonly store: Pick<Store, 'list' | 'transact' | 'grantLease' | 'limits'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseTtlSeconds: number;
  /** Leases that somebody else of this process renews. */
  readonly renews?: (lease: bigint) => boolean;
  /** Asked before each round, and what it says holds for each write of it; undefined: not now. */
  readonly mayKeep: (signal: AbortSignal) => Promise<readonly Compare[] | undefined>;
}

interface Former {
  readonly key: Uint8Array;
  readonly text: string;
  readonly value: Uint8Array;
  readonly revision: number;
}

/** Consul takes 128 operations at once, and three for a key that is compared and moved to another lease; etcd takes as many of each sort. */
const batchSize = 40;
const batchBytes = 512 * 1024;
const maxKeysPerLease = 1000;
const schedule = exponential({ firstMs: 500, maxMs: 30_000 });

/**
 * Keeps what an earlier life of an apiserver published while nobody can say what is true now: its leases end although nothing of it was seen
 * deleted. Each key is put again, unchanged and only if nobody has touched it, under a lease that is renewed here. Nothing is made, changed
 * or removed, and the heartbeat is left alone: others are to see that nobody speaks.
 */
export class Caretaker implements AsyncDisposable {
  readonly #options: CaretakerOptions;
  readonly #pool: LeasePool;

  constructor(options: CaretakerOptions) {
    this.#options = options;
    this.#pool = new LeasePool({
      store: options.store,
      ttlSeconds: options.leaseTtlSeconds,
      maxKeys: maxKeysPerLease,
      // The next round finds its keys.
      onLost: () => undefined,
    });
  }

  /** Looks now, and again three times within the life of a lease, until `signal` aborts or `isOver` says so. */
  async run(signal: AbortSignal, isOver: () => boolean = () => false): Promise<void> {
    const { clock, log, leaseTtlSeconds } = this.#options;
    while (!isOver()) {
      await retry((attempt) => this.#keep(attempt, isOver), {
        clock,
        signal,
        schedule,
        onFailure: (error) => log.warn('Cannot keep what was published, will be repeated', { [fields.error]: error }),
      });
      await clock.sleep((leaseTtlSeconds * 1000) / 3, signal);
    }
  }

  /** Renews no more: what was kept stays until its leases end, or somebody takes it over. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  async #keep(signal: AbortSignal, isOver: () => boolean): Promise<void> {
    const when = await this.#options.mayKeep(signal);
    if (!when) return;
    let kept = 0;
    for (const { prefix, exact } of this.#places()) {
      const found = (await this.#formerUnder(prefix, signal)).filter(({ text }) => !exact || text === prefix);
      for (const batch of batchesOf(found, this.#batchBytes))
        if (!isOver()) kept += await this.#take(batch, when, signal);
    }
    if (kept > 0)
      this.#options.log.warn('Keeping what was published before: nobody can say yet what of it is still so', {
        [fields.count]: kept,
      });
  }

  get #batchBytes(): number {
    return Math.min(batchBytes, this.#options.store.limits?.maxTransactionBytes ?? batchBytes);
  }

  #places(): readonly { readonly prefix: string; readonly exact?: true }[] {
    const { clusterName, sets } = this.#options;
    return [
      { prefix: clusterConfigKey(clusterName), exact: true },
      ...sets.flatMap(({ prefix }) => (prefix === undefined ? [] : [{ prefix }])),
      // Behind the sets that they speak of.
      { prefix: syncedPrefix(clusterName) },
      { prefix: ownSyncedPrefix },
    ];
  }

  async #formerUnder(prefix: string, signal: AbortSignal): Promise<Former[]> {
    const { store, renews } = this.#options;
    const found: Former[] = [];
    for await (const { entries } of store.list(prefix, { signal }))
      for (const { key, value, lease, modRevision: revision } of entries)
        if (lease !== 0n && !this.#pool.renews(lease) && renews?.(lease) !== true)
          found.push({ key: new Uint8Array(key), text: toText(key), value: new Uint8Array(value), revision });
    return found;
  }

  /** Keys that the store refuses hold no other back. @returns how many were taken */
  async #take(batch: readonly Former[], when: readonly Compare[], signal: AbortSignal): Promise<number> {
    try {
      return await this.#takeAtOnce(batch, when, signal);
    } catch (error) {
      if (!(error instanceof InvalidRequestError || error instanceof PermissionDeniedError)) throw error;
      const [only] = batch;
      if (batch.length === 1) {
        this.#options.log.error('Cannot keep a key that was published', {
          [fields.key]: only?.text,
          [fields.error]: error,
        });
        return 0;
      }
      const half = batch.length >>> 1;
      return (
        (await this.#take(batch.slice(0, half), when, signal)) + (await this.#take(batch.slice(half), when, signal))
      );
    }
  }

  async #takeAtOnce(batch: readonly Former[], when: readonly Compare[], signal: AbortSignal): Promise<number> {
    const slots = new Map<Former, LeaseSlot>();
    for (const one of batch) slots.set(one, await this.#pool.attach(one.text, signal));
    let succeeded = false;
    try {
      ({ succeeded } = await this.#options.store.transact(
        {
          when: [
            ...when,
            ...batch.map(({ key, revision: value }) => ({ key, target: 'mod', result: 'equal', value }) as const),
          ],
          then: batch.map((one) => {
            const lease = slots.get(one)?.lease.id;
            return { type: 'put', key: one.key, value: one.value, ...(lease === undefined ? {} : { lease }) } as const;
          }),
        },
        { signal },
      ));
    } catch (error) {
      if (error instanceof LeaseNotFoundError) for (const slot of new Set(slots.values())) this.#pool.lose(slot);
      throw error;
    } finally {
      if (!succeeded) for (const [{ text }, slot] of slots) this.#pool.detach(text, slot);
    }
    if (succeeded) return batch.length;
    if (batch.length === 1) return 0;
    // Somebody has touched one of them: the others go one by one.
    let kept = 0;
    for (const one of batch) kept += await this.#take([one], when, signal);
    return kept;
  }
}

function* batchesOf(all: readonly Former[], mostBytes: number): Generator<readonly Former[], void, void> {
  let batch: Former[] = [];
  let bytes = 0;
  for (const one of all) {
    const size = one.key.length * 3 + one.value.length + 64;
    if (batch.length === batchSize || (batch.length > 0 && bytes + size > mostBytes)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(one);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

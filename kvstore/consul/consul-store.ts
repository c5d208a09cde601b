import {
  type Bytes,
  type CallOptions,
  type KeyValue,
  KvStoreError,
  type Lease,
  type LeaseOptions,
  LeaseNotFoundError,
  type ListOptions,
  type Lock,
  type LockOptions,
  type Page,
  type PutOptions,
  type ReadOptions,
  RenewedLease,
  type Store,
  type StoreHealth,
  type Transaction,
  type TransactionResult,
  type WatchBatch,
  type WatchOptions,
  type WriteResult,
  toBytes,
  toText,
} from '../contract/index.ts';
import { ConsulAdmin } from './admin.ts';
import { acquireLock } from './consul-lock.ts';
import { ConsulHttp } from './http/index.ts';
import { JournalWriter } from './journal/index.ts';
import { isMark, keyText, prefixText } from './keys.ts';
import type { ConsulStoreOptions } from './options.ts';
import { type ReadSettings, checkRevision, keysUnder, readKey, readPrefix } from './read.ts';
import { Sessions, sessionTtl } from './sessions.ts';
import { identify } from './store-id.ts';
import {
  type TransactDependencies,
  largeValueBytes,
  maxOperations,
  maxValueBytes,
  putLarge,
  submit,
  transact,
  valueTooLarge,
} from './transact/index.ts';
import { untilGone } from './until-gone.ts';
import { ShardBudget, follow } from './watch/index.ts';

const defaultBatch = 1024;

/** The {@link Store} contract over Consul's HTTP API, as far as Consul can keep it (docs/consul.md). Connects when first needed. */
export function openConsulStore(options: ConsulStoreOptions): ConsulStore {
  return new ConsulStore(options);
}

export class ConsulStore implements Store {
  /** In a transaction values are base64, and the whole must not be more than one value. */
  readonly limits = { maxValueBytes, maxTransactionBytes: Math.floor(largeValueBytes * 0.9) };
  /** What is cold, by the `consul` package. */
  readonly admin: ConsulAdmin;
  readonly #options: ConsulStoreOptions;
  readonly #http: ConsulHttp;
  readonly #sessions: Sessions;
  readonly #transactions: TransactDependencies;
  readonly #shards: ShardBudget;
  readonly #waitMs: number;
  readonly #leases = new Set<RenewedLease>();
  #asked = false;

  constructor(options: ConsulStoreOptions) {
    this.#options = options;
    this.#http = new ConsulHttp(options);
    this.admin = new ConsulAdmin(options);
    this.#sessions = new Sessions(this.#http, options.sessionNode ?? 'isthmus');
    this.#waitMs = Math.ceil((options.waitSeconds ?? 10) * 1000);
    this.#shards = new ShardBudget(options.maxShards ?? 64);
    this.#transactions = {
      http: this.#http,
      clock: options.clock,
      random: options.random ?? Math.random,
      timeoutMs: options.callTimeoutMs ?? 15_000,
      journal: options.journal === false ? undefined : new JournalWriter(),
    };
  }

  async get(key: Bytes, options: ReadOptions = {}): Promise<KeyValue | undefined> {
    const name = keyText(key);
    const settings = await this.#begin(`read ${JSON.stringify(name)}`, options);
    const { entry, index } = await readKey(this.#http, name, settings);
    await checkRevision(this.#http, options.revision, entry?.modRevision ?? index, settings);
    this.#http.saw(entry?.modRevision ?? index);
    return entry;
  }

  async put(key: Bytes, value: Bytes, options: PutOptions = {}): Promise<WriteResult> {
    const name = keyText(key);
    const bytes = toBytes(value);
    const lease = options.lease ?? 0n;
    const settings = await this.#begin(`write ${JSON.stringify(name)}`, options);
    if (bytes.length <= largeValueBytes) {
      const then = [{ type: 'put', key: name, value: bytes, lease }] as const;
      return { revision: (await transact(this.#transactions, { when: [], then }, settings)).revision };
    }
    if (bytes.length > maxValueBytes) throw valueTooLarge(name, bytes.length);
    return putLarge(this.#http, name, new Uint8Array(bytes), lease, settings);
  }

  async delete(key: Bytes, options: CallOptions = {}): Promise<WriteResult & { readonly deleted: boolean }> {
    const name = keyText(key);
    const settings = await this.#begin(`delete ${JSON.stringify(name)}`, options);
    const then = [{ type: 'delete', key: name }] as const;
    const { results, revision } = await transact(this.#transactions, { when: [], then }, settings);
    const deleted = results[0]?.type === 'delete' && results[0].deleted > 0;
    return { revision, deleted };
  }

  /** In transactions of 128 keys each: a recursive delete would go unseen by those who watch narrower prefixes. */
  async deletePrefix(prefix: Bytes, options: CallOptions = {}): Promise<WriteResult & { readonly deleted: number }> {
    const name = prefixText(prefix);
    const settings = await this.#begin(`delete all of ${JSON.stringify(name)}`, options);
    const { keys, index } = await keysUnder(this.#http, name, settings);
    this.#http.saw(index);
    for (let from = 0; from < keys.length; from += maxOperations) {
      const part = keys.slice(from, from + maxOperations);
      await submit(
        this.#http,
        part.map((key) => ({ Verb: 'delete', Key: key })),
        settings,
      );
    }
    if (keys.length > 0) this.#http.saw((await keysUnder(this.#http, name, settings)).index);
    return { revision: this.#http.revision, deleted: keys.length };
  }

  async *list(prefix: Bytes, options: ListOptions = {}): AsyncGenerator<Page, void, void> {
    const name = prefixText(prefix);
    const settings = await this.#begin(`list ${JSON.stringify(name)}`, options);
    const pageSize = options.pageSize ?? defaultBatch;
    const floor = this.#http.revision;
    let entries: KeyValue[] = [];
    const index = await readPrefix(this.#http, {
      ...settings,
      prefix: name,
      begin: () => {
        const found: KeyValue[] = (entries = []);
        return (entry) => {
          if (!isMark(entry.key)) found.push(entry.toKeyValue());
        };
      },
    });
    await checkRevision(this.#http, options.revision, index, settings);
    this.#http.saw(index);
    // Whatever the store had reached before it was asked is in its answer.
    const revision = options.revision || Math.max(index, floor);
    for (let from = 0; from === 0 || from < entries.length; from += pageSize) {
      options.signal?.throwIfAborted();
      yield { entries: entries.slice(from, from + pageSize), revision, more: from + pageSize < entries.length };
    }
  }

  async *listAndWatch(prefix: Bytes, options: WatchOptions): AsyncGenerator<WatchBatch, void, void> {
    const { clock, log, random = Math.random, journal = true } = this.#options;
    const { largePrefixKeys = 10_000, shardKeys = 512 } = this.#options;
    yield* follow({
      http: this.#http,
      clock,
      log,
      random,
      largePrefixKeys,
      shardKeys,
      shards: this.#shards,
      journal,
      prefix: prefixText(prefix),
      waitMs: this.#waitMs,
      pageSize: options.pageSize ?? defaultBatch,
      identify: (signal) => identify(this.#http, signal),
      signal: options.signal,
    });
  }

  async transact(transaction: Transaction, options: CallOptions = {}): Promise<TransactionResult> {
    const settings = await this.#begin('apply a transaction', options);
    const [only] = transaction.then;
    // A put that is alone may be as large as Consul takes it; in a transaction of Consul's it would not fit.
    if (only?.type === 'put' && transaction.then.length === 1 && transaction.when.length === 0)
      if (toBytes(only.value).length > largeValueBytes) {
        const { lease = 0n } = only;
        const { revision } = await this.put(only.key, only.value, { ...options, lease });
        return { succeeded: true, revision, results: [{ type: 'put' }] };
      }
    return transact(this.#transactions, transaction, settings);
  }

  async grantLease(options: LeaseOptions): Promise<Lease> {
    const { clock } = this.#options;
    const ttlSeconds = sessionTtl(options.ttlSeconds);
    const { signal } = await this.#begin('grant a lease', options);
    const askedMs = clock.monotonicMs();
    const id = await this.#sessions.create(ttlSeconds, signal);
    const lease = new RenewedLease(id, ttlSeconds, askedMs, {
      clock,
      // Consul lets twice the time to live pass, but keeps its word only for that time itself: that is the budget.
      renew: async (leaseId, renewing) => {
        await this.#sessions.renew(leaseId, renewing);
        return ttlSeconds;
      },
      revoke: (leaseId) => this.#sessions.destroy(leaseId),
      ended: (ended) => this.#leases.delete(ended),
    });
    this.#leases.add(lease);
    return lease;
  }

  async lock(name: Bytes, options: LockOptions = {}): Promise<Lock> {
    const text = keyText(name);
    const what = `lock ${JSON.stringify(text)}`;
    await this.#begin(what, options);
    return acquireLock(
      {
        grant: (ttlSeconds, signal) => this.grantLease({ ttlSeconds, ...(signal ? { signal } : {}) }),
        create: async (key, lease, signal) => {
          await this.put(key, '', { lease, signal });
          const { entry } = await readKey(this.#http, key, { what, signal });
          if (entry?.lease !== lease) throw new LeaseNotFoundError(`Cannot ${what}: its lease is gone`);
          return entry.createRevision;
        },
        candidates: async (prefix, signal) => {
          const found: KeyValue[] = [];
          for await (const page of this.list(prefix, { signal })) found.push(...page.entries);
          return found;
        },
        untilGone: (key, signal) =>
          untilGone(this.#http, this.#options.clock, toText(key), this.#waitMs, { what, signal }),
      },
      text,
      options,
    );
  }

  /**
   * How many keys there are. Unless it has to be exact any server may answer: a number that is a moment old does, and need not cost the
   * leader. A server that has just come up may answer with none.
   */
  async count(prefix: Bytes, options: CallOptions & { readonly exact?: boolean } = {}): Promise<number> {
    const name = prefixText(prefix);
    const settings = await this.#begin(`count the keys of ${JSON.stringify(name)}`, options);
    const { keys, index } = await keysUnder(this.#http, name, settings, options.exact ? 'consistent' : 'stale');
    this.#http.saw(index);
    return keys.length;
  }

  health(): StoreHealth {
    return this.#http.health();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#leases].map((lease) => lease[Symbol.asyncDispose]()));
    await this.#http[Symbol.asyncDispose]();
  }

  /** Checks what ends a call before it begins, and finds out once which store this is. */
  async #begin(what: string, options: CallOptions): Promise<ReadSettings> {
    options.signal?.throwIfAborted();
    this.#http.closing.throwIfAborted();
    if (this.#http.storeId === undefined && !this.#asked) {
      try {
        await identify(this.#http, options.signal);
        this.#asked = true;
      } catch (error) {
        // The call itself will meet the same trouble, and may repeat.
        options.signal?.throwIfAborted();
        this.#http.closing.throwIfAborted();
        if (!(error instanceof KvStoreError)) throw error;
      }
    }
    return { what, signal: options.signal };
  }
}

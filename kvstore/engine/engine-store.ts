import type { Clock } from '../../runtime/clock/index.ts';
import {
  type Bytes,
  type CallOptions,
  ClosedError,
  type Engine,
  type KeyValue,
  type Lease,
  type LeaseOptions,
  type ListOptions,
  type Lock,
  type LockOptions,
  type Page,
  type PutOptions,
  type RangeRequest,
  type RangeResponse,
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
import { abortable } from './abortable.ts';
import { acquireLock } from './engine-lock.ts';
import { followPrefix } from './follow.ts';
import { pagesOf } from './pages.ts';
import { plainKeyValue } from './row.ts';
import { prefixRange, toEngineCompare, toOperationResult, toRequestOp, toStoreError } from './translate.ts';

export interface EngineStoreDependencies {
  readonly clock: Clock;
  /** Shown in health, for people: where this engine lives. */
  readonly endpoint: string;
}

/** The {@link Store} contract over an engine in the same process. Closing the store does not close the engine. */
export class EngineStore implements Store {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #endpoint: string;
  readonly #closing = new AbortController();
  readonly #leases = new Set<RenewedLease>();
  #revision = 0;
  #lastContactMs: number | undefined;
  #error: string | undefined;

  constructor(engine: Engine, { clock, endpoint }: EngineStoreDependencies) {
    this.#engine = engine;
    this.#clock = clock;
    this.#endpoint = endpoint;
  }

  async get(key: Bytes, options: ReadOptions = {}): Promise<KeyValue | undefined> {
    const request = { key: toBytes(key), ...revisionOf(options) };
    const { kvs } = await this.#call(`key ${nameOf(key)}`, options.signal, () => this.#engine.range(request));
    return kvs[0] && plainKeyValue(kvs[0]);
  }

  async put(key: Bytes, value: Bytes, options: PutOptions = {}): Promise<WriteResult> {
    const request = { key: toBytes(key), value: toBytes(value), lease: options.lease ?? 0n };
    const { revision } = await this.#call(`key ${nameOf(key)}`, options.signal, () => this.#engine.put(request));
    return { revision };
  }

  async delete(key: Bytes, options: CallOptions = {}): Promise<WriteResult & { readonly deleted: boolean }> {
    const request = { key: toBytes(key) };
    const call = (): ReturnType<Engine['deleteRange']> => this.#engine.deleteRange(request);
    const { revision, deleted } = await this.#call(`key ${nameOf(key)}`, options.signal, call);
    return { revision, deleted: deleted > 0 };
  }

  async deletePrefix(prefix: Bytes, options: CallOptions = {}): Promise<WriteResult & { readonly deleted: number }> {
    const request = prefixRange(toBytes(prefix));
    const call = (): ReturnType<Engine['deleteRange']> => this.#engine.deleteRange(request);
    const { revision, deleted } = await this.#call(`prefix ${nameOf(prefix)}`, options.signal, call);
    return { revision, deleted };
  }

  async *list(prefix: Bytes, options: ListOptions = {}): AsyncGenerator<Page, void, void> {
    const range = (request: RangeRequest): Promise<RangeResponse> =>
      this.#call(`prefix ${nameOf(prefix)}`, options.signal, () => this.#engine.range(request));
    yield* pagesOf(range, toBytes(prefix), options);
  }

  async *listAndWatch(prefix: Bytes, options: WatchOptions): AsyncGenerator<WatchBatch, void, void> {
    yield* followPrefix(
      {
        engine: this.#engine,
        list: (signal) => this.list(prefix, { signal, ...(options.pageSize ? { pageSize: options.pageSize } : {}) }),
        closing: this.#closing.signal,
      },
      prefixRange(toBytes(prefix)),
      options.signal,
    );
  }

  async transact(transaction: Transaction, options: CallOptions = {}): Promise<TransactionResult> {
    const request = {
      compare: transaction.when.map(toEngineCompare),
      success: transaction.then.map(toRequestOp),
      failure: (transaction.otherwise ?? []).map(toRequestOp),
    };
    const answer = await this.#call('transaction', options.signal, () => this.#engine.txn(request));
    const { succeeded, revision, responses } = answer;
    return { succeeded, revision, results: responses.map(toOperationResult) };
  }

  async grantLease(options: LeaseOptions): Promise<Lease> {
    return this.#grant(options);
  }

  async leaseTtl(id: bigint, options: CallOptions = {}): Promise<number | undefined> {
    const ask = (): ReturnType<Engine['leaseTimeToLive']> => this.#engine.leaseTimeToLive(id, false);
    const { ttl } = await this.#call('lease', options.signal, ask);
    return ttl < 0 ? undefined : ttl;
  }

  async lock(name: Bytes, options: LockOptions = {}): Promise<Lock> {
    return acquireLock(
      {
        engine: this.#engine,
        closing: this.#closing.signal,
        grant: (ttlSeconds) => this.#grant({ ttlSeconds, ...(options.signal ? { signal: options.signal } : {}) }),
        call: (call) => this.#call(`lock ${nameOf(name)}`, options.signal, call),
      },
      toBytes(name),
      options,
    );
  }

  health(): StoreHealth {
    const error = this.#closing.signal.aborted ? 'closed' : this.#error;
    return {
      connected: error === undefined,
      storeId: this.#engine.clusterId.toString(16),
      revision: Math.max(this.#revision, this.#engine.revision),
      ...(this.#lastContactMs === undefined ? {} : { lastContactMs: this.#lastContactMs }),
      endpoint: this.#endpoint,
      ...(error === undefined ? {} : { error }),
      reconnections: 0,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new ClosedError(`Store ${this.#endpoint} was closed`));
    await Promise.all([...this.#leases].map((lease) => lease[Symbol.asyncDispose]()));
  }

  async #grant(options: LeaseOptions): Promise<Lease> {
    const askedMs = this.#clock.monotonicMs();
    const ttl = Math.ceil(options.ttlSeconds);
    const granted = await this.#call('lease', options.signal, () => this.#engine.leaseGrant({ id: 0n, ttl }));
    const lease = new RenewedLease(granted.id, granted.ttl, askedMs, {
      clock: this.#clock,
      renew: async (id, signal) => (await this.#call('lease', signal, () => this.#engine.leaseKeepAlive(id))).ttl,
      revoke: async (id) => void (await this.#call('lease', undefined, () => this.#engine.leaseRevoke(id))),
      ended: (ended) => this.#leases.delete(ended),
    });
    this.#leases.add(lease);
    return lease;
  }

  /** One call to the engine: closed store, aborted signal and engine errors become what the contract names. */
  async #call<T extends { readonly revision: number }>(
    what: string,
    signal: AbortSignal | undefined,
    call: () => Promise<T>,
  ): Promise<T> {
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
    try {
      const answer = await abortable(abortable(call(), this.#closing.signal), signal);
      this.#revision = Math.max(this.#revision, answer.revision);
      this.#lastContactMs = this.#clock.now();
      this.#error = undefined;
      return answer;
    } catch (error) {
      const translated = toStoreError(error, what, this.#engine.compactRevision);
      if (translated instanceof Error && 'retry' in translated && translated.retry === 'again')
        this.#error = translated.message;
      throw translated;
    }
  }
}

function revisionOf(options: ReadOptions): { readonly revision?: number } {
  return options.revision === undefined ? {} : { revision: options.revision };
}

function nameOf(key: Bytes): string {
  return JSON.stringify(typeof key === 'string' ? key : toText(key));
}

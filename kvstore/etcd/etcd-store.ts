import {
  type Bytes,
  type CallOptions,
  type KeyValue,
  type Lease,
  type LeaseOptions,
  type ListOptions,
  type Lock,
  type LockOptions,
  NoSpaceError,
  type Page,
  ProtocolError,
  type PutOptions,
  type ReadOptions,
  RenewedLease,
  type Store,
  type StoreHealth,
  type Transaction,
  type TransactionResult,
  UnavailableError,
  type WatchBatch,
  type WatchOptions,
  type WriteResult,
  toBytes,
  toText,
} from '../contract/index.ts';
import { acquireLock } from './etcd-lock.ts';
import { Landmarks, follow, listParts, rangeOf } from './list-watch/index.ts';
import { type CallSettings, EtcdSession, type EtcdSessionOptions } from './session/index.ts';
import { fromWireResult, toWireCompare, toWireOperation } from './translate.ts';
import { type ResponseHeader, methods, txnOutcome } from './wire/index.ts';

/** @see EtcdSessionOptions */
export interface EtcdStoreOptions extends EtcdSessionOptions {
  /** At most this many entries are asked for at a time when listing; as many as make some 16 MiB unless told. */
  readonly maxPage?: number;
}

const defaultBatch = 1024;
const repeatAfterMs = 50;
const txnCall = { ...methods.txn, response: txnOutcome };
/** For what goes through all pages of the server. */
const maintenanceTimeoutMs = 10 * 60_000;

/** What the member that answers says of itself. */
export interface EtcdStatus {
  readonly version: string;
  readonly dbSize: number;
  readonly dbSizeInUse: number;
  readonly revision: number;
  /** What it is alarmed about, in its own words. */
  readonly errors: readonly string[];
}

/** The {@link Store} contract over etcd's v3 API. Connects when it is first needed, and again as often as needed. */
export function openEtcdStore(options: EtcdStoreOptions): EtcdStore {
  return new EtcdStore(options);
}

export class EtcdStore implements Store {
  readonly #options: EtcdStoreOptions;
  readonly #session: EtcdSession;
  readonly #leases = new Set<RenewedLease>();
  readonly #landmarks: Landmarks;

  constructor(options: EtcdStoreOptions) {
    this.#options = options;
    this.#session = new EtcdSession(options);
    this.#landmarks = new Landmarks(options.clock);
  }

  async get(key: Bytes, options: ReadOptions = {}): Promise<KeyValue | undefined> {
    const revision = options.revision ?? 0;
    const settings = { ...settingsOf(`read ${nameOf(key)}`, options), revision, repeatable: true };
    const answer = await this.#session.call(methods.range, { key: toBytes(key), revision }, settings);
    const entry = answer.kvs[0];
    if (entry && Buffer.compare(entry.key, toBytes(key)) !== 0)
      throw new ProtocolError(`Cannot ${settings.what}: the store answers with ${nameOf(entry.key)}`);
    return entry;
  }

  async put(key: Bytes, value: Bytes, options: PutOptions = {}): Promise<WriteResult> {
    const request = { key: toBytes(key), value: toBytes(value), lease: options.lease ?? 0n };
    const { header } = await this.#session.call(methods.put, request, settingsOf(`write ${nameOf(key)}`, options));
    return { revision: revisionOf(header) };
  }

  async delete(key: Bytes, options: CallOptions = {}): Promise<WriteResult & { readonly deleted: boolean }> {
    const settings = settingsOf(`delete ${nameOf(key)}`, options);
    const { header, deleted } = await this.#session.call(methods.deleteRange, { key: toBytes(key) }, settings);
    return { revision: revisionOf(header), deleted: deleted > 0 };
  }

  async deletePrefix(prefix: Bytes, options: CallOptions = {}): Promise<WriteResult & { readonly deleted: number }> {
    const settings = settingsOf(`delete all of ${nameOf(prefix)}`, options);
    const { header, deleted } = await this.#session.call(methods.deleteRange, rangeOf(toBytes(prefix)), settings);
    return { revision: revisionOf(header), deleted };
  }

  async *list(prefix: Bytes, options: ListOptions = {}): AsyncGenerator<Page, void, void> {
    const settings = settingsOf(`list ${nameOf(prefix)}`, options);
    using deadline = this.#session.deadline(settings);
    const never = new AbortController().signal;
    for (let started = false; ;) {
      try {
        const connection = await this.#session.connection(deadline.signal);
        const parts = listParts(this.#session, connection, {
          prefix: toBytes(prefix),
          what: settings.what,
          clock: this.#options.clock,
          signal: options.signal ?? never,
          batchSize: options.pageSize ?? defaultBatch,
          ...maxPageOf(options.pageSize, this.#options.maxPage),
          revision: options.revision ?? 0,
          withoutQuorum: false,
          lent: false,
          impatient: true,
        });
        for await (const { entries, revision, last } of parts) {
          started = true;
          yield { entries: entries.entries, revision, more: !last };
        }
        return;
      } catch (error) {
        // All pages come from one server: what was cut after the first page cannot be continued elsewhere.
        if (started || deadline.signal.aborted || !(error instanceof UnavailableError)) throw error;
        await this.#options.clock.sleep(repeatAfterMs, deadline.signal);
      }
    }
  }

  async *listAndWatch(prefix: Bytes, options: WatchOptions): AsyncGenerator<WatchBatch, void, void> {
    const { clock, log, random = Math.random } = this.#options;
    yield* follow(this.#session, {
      prefix: toBytes(prefix),
      name: nameOf(prefix),
      clock,
      log,
      random,
      signal: options.signal,
      batchSize: options.pageSize ?? defaultBatch,
      landmarks: this.#landmarks,
      ...maxPageOf(undefined, this.#options.maxPage),
    });
  }

  async transact(transaction: Transaction, options: CallOptions = {}): Promise<TransactionResult> {
    const request = {
      compare: transaction.when.map(toWireCompare),
      success: transaction.then.map(toWireOperation),
      failure: (transaction.otherwise ?? []).map(toWireOperation),
    };
    const operations = [...transaction.then, ...(transaction.otherwise ?? [])];
    const repeatable = operations.every(({ type }) => type === 'get');
    const settings = { ...settingsOf('apply a transaction', options), repeatable };
    const { header, succeeded, responses } = await this.#session.call(txnCall, request, settings);
    return { succeeded, revision: revisionOf(header), results: responses.map(fromWireResult) };
  }

  async grantLease(options: LeaseOptions): Promise<Lease> {
    const { clock } = this.#options;
    const sentMs = clock.monotonicMs();
    const request = { ttl: Math.ceil(options.ttlSeconds) };
    const { id, ttl, error } = await this.#session.call(
      methods.leaseGrant,
      request,
      settingsOf('grant a lease', options),
    );
    if (error !== '') throw new NoSpaceError(`Cannot grant a lease: ${error}`);
    const lease = new RenewedLease(id, ttl, sentMs, {
      clock,
      renew: (leaseId, signal, timeoutMs) => this.#keepAlive(leaseId, timeoutMs, signal),
      revoke: (leaseId) => this.#revoke(leaseId),
      ended: (ended) => this.#leases.delete(ended),
    });
    this.#leases.add(lease);
    return lease;
  }

  async lock(name: Bytes, options: LockOptions = {}): Promise<Lock> {
    const text = nameOf(name);
    return acquireLock(
      {
        grant: (ttlSeconds, signal) => this.grantLease({ ttlSeconds, ...(signal ? { signal } : {}) }),
        create: async (key, lease, signal) => (await this.put(key, '', { lease, signal })).revision,
        get: (key, signal) => this.get(key, { signal }),
        before: (prefix, createRevision, signal) => this.#keyBefore(prefix, createRevision, text, signal),
        follow: (key, signal) => this.listAndWatch(key, { signal }),
      },
      toBytes(name),
      options,
    );
  }

  health(): StoreHealth {
    return this.#session.health();
  }

  /** The owner has started up: from now on the limits for steady times hold. */
  bootstrapped(): void {
    this.#session.bootstrapped();
  }

  /** Maintenance/Status of the member that is connected. */
  async status(options: CallOptions = {}): Promise<EtcdStatus> {
    const settings = { ...settingsOf('ask for the status', options), repeatable: true };
    const { header, version, dbSize, dbSizeInUse, errors } = await this.#session.call(methods.status, {}, settings);
    return { version, dbSize, dbSizeInUse, revision: revisionOf(header), errors };
  }

  /** How many keys begin so. */
  async count(prefix: Bytes, options: CallOptions = {}): Promise<number> {
    const what = `count the keys of ${nameOf(prefix)}`;
    const question = { ...rangeOf(toBytes(prefix)), countOnly: true };
    const { count } = await this.#session.call(methods.range, question, {
      ...settingsOf(what, options),
      repeatable: true,
    });
    return count;
  }

  /**
   * Forgets what was before `revision`, and settles when it is gone from the pages of the member that is connected (`physical`, etcd's `rpc.proto`):
   * a defragmentation that follows finds them free. @throws {CompactedError} {@link FutureRevisionError}
   */
  async compact(revision: number, options: CallOptions = {}): Promise<void> {
    // What is refused as compacted is at the compaction point or before it, where a reading is before it.
    const what = settingsOf(`compact to revision ${revision}`, options);
    const settings = { ...what, revision: revision - 1, timeoutMs: maintenanceTimeoutMs };
    await this.#session.call(methods.compact, { revision, physical: true }, settings);
  }

  /** Gives free pages of the member that is connected back to its disk; it answers nothing else meanwhile. */
  async defragment(options: CallOptions = {}): Promise<void> {
    const settings = { ...settingsOf('defragment', options), timeoutMs: maintenanceTimeoutMs, headless: true };
    await this.#session.call(methods.defragment, {}, settings);
  }

  /** `ttl` −1 says that the lease does not exist. */
  async leaseTimeToLive(
    id: bigint,
    options: CallOptions = {},
  ): Promise<{ readonly ttl: number; readonly grantedTtl: number }> {
    const settings = { ...settingsOf('ask for a lease', options), repeatable: true };
    const { ttl, grantedTtl } = await this.#session.call(methods.leaseTimeToLive, { id, keys: false }, settings);
    return { ttl, grantedTtl };
  }

  async leaseTtl(id: bigint, options: CallOptions = {}): Promise<number | undefined> {
    const { ttl } = await this.leaseTimeToLive(id, options);
    return ttl < 0 ? undefined : ttl;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#leases].map((lease) => lease[Symbol.asyncDispose]()));
    await this.#session[Symbol.asyncDispose]();
  }

  async #keepAlive(id: bigint, timeoutMs: number, signal: AbortSignal): Promise<number> {
    const settings = {
      what: 'renew a lease',
      signal,
      repeatable: true,
      unlimited: true,
      timeoutMs: Math.min(timeoutMs, 10_000),
    };
    // A stream by name; one question and one answer make a call of it.
    return (await this.#session.call(methods.leaseKeepAlive, { id }, settings)).ttl;
  }

  async #revoke(id: bigint): Promise<void> {
    await this.#session.call(methods.leaseRevoke, { id }, { what: 'revoke a lease' });
  }

  async #keyBefore(
    prefix: Uint8Array,
    createRevision: number,
    text: string,
    signal: AbortSignal,
  ): Promise<KeyValue | undefined> {
    const answer = await this.#session.call(
      methods.range,
      {
        ...rangeOf(prefix),
        maxCreateRevision: createRevision - 1,
        sortTarget: 'create',
        sortOrder: 'descend',
        limit: 1,
        keysOnly: true,
      },
      { what: `lock ${text}`, signal, repeatable: true },
    );
    return answer.kvs[0];
  }
}

function settingsOf(what: string, options: CallOptions): CallSettings {
  const { signal, urgent = false } = options;
  return { what, ...(signal ? { signal } : {}), ...(urgent ? { unlimited: true } : {}) };
}

function maxPageOf(asked: number | undefined, limit: number | undefined): { readonly maxPage?: number } {
  const maxPage = Math.min(asked ?? Infinity, limit ?? Infinity);
  return maxPage === Infinity ? {} : { maxPage };
}

function nameOf(bytes: Bytes): string {
  const text = typeof bytes === 'string' ? bytes : toText(bytes);
  return JSON.stringify(text);
}

function revisionOf(header: ResponseHeader | undefined): number {
  if (!header) throw new ProtocolError('Answer of the store has no header');
  return header.revision;
}

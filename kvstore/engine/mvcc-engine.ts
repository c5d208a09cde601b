import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, silentLogger } from '../../runtime/log/index.ts';
import {
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  type Engine,
  type EngineProblem,
  type EngineStatus,
  type EngineWatcher,
  type HeldRevision,
  type KeyRange,
  type LeaseInfo,
  type PutRequest,
  type PutResponse,
  type RangeRequest,
  type RangeResponse,
  type Reader,
  type RequestOp,
  type TxnRequest,
  type TxnResponse,
  type WatchRequest,
  type WatchSink,
  StoreBrokenError,
} from '../contract/index.ts';
import type { Backend } from './backend.ts';
import { onlyReads } from './decide.ts';
import { engineErrors } from './engine-errors.ts';
import { Lessor } from './lessor.ts';
import { PageCounts } from './page-counts.ts';
import { isShort, rangeSteps } from './read.ts';
import { isShortTxn, readTxnSteps } from './read-txn.ts';
import type { Snapshot } from './row.ts';
import { type Steps, atOnce } from './steps.ts';
import { turns } from './turns.ts';
import * as validate from './validate.ts';
import { WatchHub } from './watch-hub.ts';
import { WriteTransaction } from './write.ts';

export interface MvccEngineOptions {
  /** Shortest lease; shorter requests get this. Default 2 s, as etcd's with its default election timeout (`minLeaseTTL`). */
  readonly minLeaseTtlSeconds?: number;
  /** Operations per branch of a transaction; etcd's `--max-txn-ops`. Default 128. */
  readonly maxTxnOps?: number;
  /** etcd's `--max-request-bytes`. Default 1.5 MiB. */
  readonly maxRequestBytes?: number;
}

export interface MvccEngineDependencies {
  readonly clock: Clock;
  readonly log?: Logger;
}

/** A snapshot keeps what is overwritten meanwhile from being used again. */
const maxReadMs = 60_000;
/** Keys of expired leases after which others have their turn. */
const sliceKeys = 1_000;
const version = '3.6.0';

/**
 * etcd's semantics over any {@link Backend}: revisions, transactions, leases and watches behave the same whether rows
 * live in memory or on disk. Writes take effect in the order of the calls; each answer waits until the write, and all
 * that it was built on, is durable.
 */
export class MvccEngine implements Engine {
  readonly #backend: Backend;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #limits: validate.Limits;
  readonly #lessor: Lessor;
  readonly #hub: WatchHub;
  readonly #pageCounts = new PageCounts();
  readonly #broken = new AbortController();
  readonly #reads = new Set<Promise<unknown>>();
  #closed = false;

  constructor(backend: Backend, options: MvccEngineOptions, dependencies: MvccEngineDependencies) {
    this.#backend = backend;
    this.#clock = dependencies.clock;
    this.#log = dependencies.log ?? silentLogger;
    this.#limits = {
      maxTxnOps: options.maxTxnOps ?? validate.defaultLimits.maxTxnOps,
      maxRequestBytes: options.maxRequestBytes ?? validate.defaultLimits.maxRequestBytes,
      maxKeyBytes: backend.maxKeyBytes,
    };
    this.#lessor = new Lessor({
      clock: this.#clock,
      minTtlSeconds: options.minLeaseTtlSeconds ?? 2,
      expire: (ids) => void this.#expire(ids),
    });
    this.#lessor.load(backend.leases());
    this.#hub = new WatchHub(backend, (error) => {
      this.#log.error('A watcher failed and was cancelled', { error });
      return this.explained(error);
    });
    backend.onCommit((changes, revision) => this.#hub.deliver(changes, revision));
    backend.onBroken((error) => this.#broken.abort(new StoreBrokenError(error.cause ?? error)));
    backend.onRollback(() => this.#lessor.load(backend.leases()));
  }

  get clusterId(): bigint {
    return this.#backend.clusterId;
  }

  get memberId(): bigint {
    return this.#backend.memberId;
  }

  get revision(): number {
    return this.#backend.revision;
  }

  get compactRevision(): number {
    return Math.max(0, this.#backend.compactRevision);
  }

  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  async range(request: RangeRequest, reader?: Reader): Promise<RangeResponse> {
    this.#assertOpen();
    validate.checkRange(request);
    const options = { counts: this.#pageCounts, took: reader && ((bytes: number) => reader.took(bytes)) };
    return this.#read((snapshot) => rangeSteps(snapshot, request, options), isShort(request), reader);
  }

  async put(request: PutRequest): Promise<PutResponse> {
    this.#assertOpen();
    validate.checkPut(request, this.#limits);
    validate.checkSize(validate.putBytes(request), this.#limits);
    this.#assertSpace();
    return this.#durable(this.#begin().put(request));
  }

  async deleteRange(request: DeleteRangeRequest, reader?: Reader): Promise<DeleteRangeResponse> {
    this.#assertOpen();
    validate.checkDelete(request);
    return this.#durable(turns.spend(() => this.#begin(reader).deleteRange(request)));
  }

  async txn(request: TxnRequest, reader?: Reader): Promise<TxnResponse> {
    this.#assertOpen();
    validate.checkTxn(request, this.#limits);
    validate.checkSize(validate.txnBytes(request), this.#limits);
    if (onlyReads(request)) {
      const options = { took: reader && ((bytes: number) => reader.took(bytes)) };
      return this.#read((snapshot) => readTxnSteps(snapshot, request, options), isShortTxn(request), reader);
    }
    if ([...request.success, ...request.failure].some(mayPut)) this.#assertSpace();
    return this.#durable(turns.spend(() => this.#begin(reader).txn(request)));
  }

  async compact(revision: number): Promise<{ readonly revision: number }> {
    this.#assertOpen();
    if (revision <= this.#backend.latest.compactRevision) {
      // One that is under way counts too, or history would come back; the refusal waits until it is on disk.
      await this.#backend.flush();
      throw engineErrors.compacted();
    }
    if (revision > this.#backend.revision) throw engineErrors.futureRevision();
    await this.#backend.compact(revision);
    return { revision: this.#backend.revision };
  }

  hold(revision = this.revision): HeldRevision {
    this.#assertOpen();
    if (revision > this.revision) throw engineErrors.futureRevision();
    if (revision < this.#backend.compactRevision) throw engineErrors.compacted();
    const hold = this.#backend.hold(revision);
    return {
      revision,
      range: async (request, reader) => {
        this.#assertOpen();
        const held = { ...request, revision };
        validate.checkRange(held);
        const options = {
          counts: this.#pageCounts,
          held: true,
          took: reader && ((bytes: number) => reader.took(bytes)),
        };
        const answer = await this.#read((snapshot) => rangeSteps(snapshot, held, options), isShort(held), reader);
        // What was forgotten meanwhile is not in it.
        if (hold.lost) throw engineErrors.compacted();
        return answer;
      },
      [Symbol.dispose]: () => hold[Symbol.dispose](),
    };
  }

  watch(request: WatchRequest, sink: WatchSink): EngineWatcher {
    this.#assertOpen();
    return this.#hub.add({ ...request, ...copyOf(request) }, sink);
  }

  async leaseGrant(request: { readonly id: bigint; readonly ttl: number }): Promise<{
    readonly id: bigint;
    readonly ttl: number;
    readonly revision: number;
  }> {
    this.#assertOpen();
    this.#assertSpace();
    const lease = this.#lessor.prepare(request.id, request.ttl);
    this.#backend.putLease(lease);
    this.#lessor.add(lease);
    await this.#durable(undefined);
    return { id: lease.id, ttl: lease.ttlSeconds, revision: this.revision };
  }

  async leaseRevoke(id: bigint): Promise<{ readonly revision: number }> {
    this.#assertOpen();
    if (!this.#lessor.has(id)) throw engineErrors.leaseNotFound();
    this.#revoke(id);
    await this.#durable(undefined);
    return { revision: this.revision };
  }

  async leaseKeepAlive(id: bigint): Promise<{ readonly id: bigint; readonly ttl: number; readonly revision: number }> {
    this.#assertOpen();
    return { id, ttl: this.#lessor.renew(id), revision: this.revision };
  }

  async leaseTimeToLive(id: bigint, keys: boolean, reader?: Reader): Promise<LeaseInfo> {
    this.#assertOpen();
    const attached = keys && this.#lessor.has(id) ? await this.#keysOf(id, reader) : [];
    const time = this.#lessor.timeToLive(id);
    // That it is there, which keys it has, or that it is gone: none of it is told before it is so on disk.
    await this.#backend.flush();
    if (!time) return { id, ttl: -1, grantedTtl: 0, keys: [], revision: this.revision };
    return { id, ttl: time.remaining, grantedTtl: time.granted, keys: attached, revision: this.revision };
  }

  async leaseKeys(id: bigint, reader?: Reader): Promise<readonly Uint8Array[]> {
    this.#assertOpen();
    return this.#lessor.has(id) ? await this.#keysOf(id, reader) : [];
  }

  async leases(): Promise<readonly bigint[]> {
    this.#assertOpen();
    return this.#durable(this.#lessor.ids());
  }

  async status(): Promise<EngineStatus> {
    this.#assertOpen();
    const { total, inUse, quota, keys } = this.#backend.sizes();
    const problem = this.#problem();
    return {
      version,
      dbSize: total,
      dbSizeInUse: inUse,
      ...(quota === undefined ? {} : { dbSizeQuota: quota }),
      keys,
      ...(problem ? { problem } : {}),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#backend.keepTimes(this.#lessor.left());
    this.#lessor[Symbol.dispose]();
    this.#hub.close();
    // They find out at their next turn, and need the tables until then.
    await Promise.allSettled(this.#reads);
    await this.#backend[Symbol.asyncDispose]();
  }

  /** What is answered to whoever met `error`. */
  protected explained(error: unknown): unknown {
    return error;
  }

  async #keysOf(id: bigint, reader: Reader | undefined): Promise<Uint8Array[]> {
    const steps = this.#backend.leaseKeysSteps(id);
    // Mostly they are there.
    const first = steps.next();
    return first.done ? first.value : await this.#inTurns(steps, reader);
  }

  /** Reads what is durable now, in as many turns as it takes. */
  async #read<T>(stepsOf: (snapshot: Snapshot) => Steps<T>, short: boolean, reader: Reader | undefined): Promise<T> {
    using snapshot = this.#backend.snapshot();
    const steps = stepsOf(snapshot);
    if (short || !snapshot.stable) return atOnce(steps);
    return await this.#inTurns(steps, reader);
  }

  async #inTurns<T>(steps: Steps<T>, reader: Reader | undefined): Promise<T> {
    const started = this.#clock.monotonicMs();
    const between = (): void => {
      this.#assertOpen();
      if (this.#clock.monotonicMs() - started > maxReadMs) throw engineErrors.timedOut();
      reader?.took(0);
    };
    const reading = turns.take(steps, { owner: reader?.owner, between });
    this.#reads.add(reading);
    try {
      return await reading;
    } finally {
      this.#reads.delete(reading);
    }
  }

  #problem(): EngineProblem | undefined {
    const { reason, aborted } = this.#broken.signal;
    if (aborted) return { type: 'broken', message: (reason as StoreBrokenError).message };
    const { damage } = this.#backend;
    if (damage) return { type: 'damaged', message: damage.message };
    return this.#backend.outOfSpace ? { type: 'no-space', message: engineErrors.noSpace().message } : undefined;
  }

  #begin(reader?: Reader): WriteTransaction {
    return new WriteTransaction(this.#backend, (id) => this.#lessor.has(id), reader);
  }

  /** Also an answer that wrote nothing waits: it may have been built on writes that are not on disk yet. */
  async #durable<T>(answer: T): Promise<T> {
    await this.#backend.flush();
    return answer;
  }

  /** Gives how many keys went with it: they are one revision, and so are removed within one turn. */
  #revoke(id: bigint): number {
    const keys = this.#backend.leaseKeys(id);
    this.#lessor.remove(id);
    this.#begin().deleteKeys(keys);
    this.#backend.removeLease(id);
    return keys.length;
  }

  async #expire(ids: readonly bigint[]): Promise<void> {
    try {
      let removed = 0;
      for (const id of ids) {
        // A client may have revoked it meanwhile; to renew it is too late.
        if (this.#closed || !this.#lessor.has(id)) continue;
        removed += this.#revoke(id);
        if (removed < sliceKeys) continue;
        removed = 0;
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      if (!this.#closed) await this.#backend.flush();
    } catch (error) {
      // The leases are back with the rollback, and run out again.
      if (!this.#closed) this.#log.error('Expired leases could not be removed', { error, count: ids.length });
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw engineErrors.stopped();
  }

  #assertSpace(): void {
    if (this.#backend.full) throw engineErrors.noSpace();
  }
}

/** A watcher outlives the request, whose bytes may be a view of a buffer that its owner uses again. */
function copyOf({ key, rangeEnd }: KeyRange): KeyRange {
  return { key: new Uint8Array(key), ...(rangeEnd ? { rangeEnd: new Uint8Array(rangeEnd) } : {}) };
}

function mayPut(op: RequestOp): boolean {
  if (op.type === 'txn') return [...op.request.success, ...op.request.failure].some(mayPut);
  return op.type === 'put';
}

import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import {
  type Compare,
  InvalidRequestError,
  KvStoreError,
  NoSpaceError,
  type Operation,
  type Store,
  toText,
} from '../../kvstore/index.ts';
import { LeadershipLostError } from './errors.ts';

/** What a key of the local store is to be; without a value it goes. */
export interface CacheStep {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

export interface CacheWriterOptions {
  readonly store: Pick<Store, 'transact' | 'limits'>;
  /** Holds as long as we are the leader. */
  readonly fence: Compare;
  readonly clock: Clock;
  readonly log: Logger;
  /** Transactions of several callers' steps at a time; 16 unless told. */
  readonly concurrency?: number;
  /** A transaction failed and is repeated. */
  readonly onError?: () => void;
}

/** etcd's `--max-txn-ops` is 128, and Consul counts conditions, too; its `--max-request-bytes` is 1.5 MiB. */
const maxOperations = 120;
const maxBytes = 1 << 20;
/**
 * As long as so many transactions are under way, another one goes only when it is full. A store that is asked slowly (`etcd.qps`)
 * would otherwise have many small ones waiting in a row, each with a late change in it, while what comes next waits behind them.
 */
const whileSmall = 2;
const backoff = exponential({ firstMs: 50, maxMs: 5_000 });
/** Attempts that fail in a row before anybody is told. */
const newsAfter = 3;

/** One call of {@link CacheWriter.write}. */
interface Job {
  readonly signal: AbortSignal;
  readonly refused: Map<CacheStep, string>;
  /** Steps of it that are neither carried out nor given up. */
  open: number;
  failure: { readonly error: unknown } | undefined;
  readonly settled: PromiseWithResolvers<void>;
}

interface Queued {
  readonly step: CacheStep;
  readonly job: Job;
}

/**
 * The only way into the local store. Every transaction is fenced: one that comes after another leader has taken over changes
 * nothing. What several callers write at a time shares transactions. A caller waits until its keys are written, however long
 * that takes: whoever produces faster than the local store takes is held back, and nothing is queued beyond what callers hold.
 */
export class CacheWriter {
  readonly #options: CacheWriterOptions;
  readonly #signal: AbortSignal;
  #queue: Queued[] = [];
  #next = 0;
  #inFlight = 0;
  #failure: string | undefined;

  /** @param signal ends everything, writes under way included */
  constructor(options: CacheWriterOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /** Why nothing can be written at present, as the store says it; undefined while writing goes on, or has only just failed. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /**
   * Carries steps out, in any order; no key may come twice, nor be under way already. Gives those that the store cannot take, with the
   * reason. After an abort it settles once nothing of it is under way any more.
   * @throws {LeadershipLostError} and errors that repeating does not cure.
   */
  async write(steps: readonly CacheStep[], signal: AbortSignal): Promise<ReadonlyMap<CacheStep, string>> {
    signal.throwIfAborted();
    if (steps.length === 0) return new Map();
    const job: Job = {
      signal,
      refused: new Map(),
      open: steps.length,
      failure: undefined,
      settled: Promise.withResolvers<void>(),
    };
    for (const step of steps) this.#queue.push({ step, job });
    this.#pump();
    await job.settled.promise;
    if (job.failure) throw job.failure.error;
    return job.refused;
  }

  /** Carries steps out as one revision. */
  async atomically(steps: readonly CacheStep[], signal: AbortSignal): Promise<void> {
    await this.#transact(steps.map(operationOf), signal);
  }

  /** As {@link atomically}, for what is no plain step. */
  async apply(operations: readonly Operation[], signal: AbortSignal): Promise<void> {
    await this.#transact(operations, signal);
  }

  #pump(): void {
    const { concurrency = 16 } = this.#options;
    while (this.#inFlight < concurrency) {
      if (this.#inFlight >= whileSmall && this.#queue.length - this.#next < maxOperations) return;
      const part = this.#take();
      if (part.length === 0) return;
      this.#inFlight += 1;
      void this.#flush(part).finally(() => {
        this.#inFlight -= 1;
        this.#pump();
      });
    }
  }

  /** What fits into the next transaction; what is no longer wanted is given up. */
  #take(): Queued[] {
    const most = Math.min(maxBytes, this.#options.store.limits?.maxTransactionBytes ?? maxBytes);
    const part: Queued[] = [];
    let bytes = 0;
    for (; this.#next < this.#queue.length; this.#next++) {
      const queued = this.#queue[this.#next] as Queued;
      const { step, job } = queued;
      if (job.signal.aborted || job.failure) {
        close(job, { error: job.signal.reason });
        continue;
      }
      const size = step.key.length + (step.value?.length ?? 0) + 64;
      if (part.length > 0 && (part.length >= maxOperations || bytes + size > most)) break;
      part.push(queued);
      bytes += size;
    }
    if (this.#next === this.#queue.length) {
      this.#queue = [];
      this.#next = 0;
    }
    return part;
  }

  /** Where the store refuses a part for good, looks for the keys at fault, so that the others get in. */
  async #flush(part: readonly Queued[]): Promise<void> {
    try {
      await this.#transact(
        part.map(({ step }) => operationOf(step)),
        this.#signal,
      );
      for (const { job } of part) close(job);
    } catch (error) {
      const [first] = part;
      if (!(error instanceof InvalidRequestError)) for (const { job } of part) close(job, { error });
      else if (part.length === 1 && first) {
        first.job.refused.set(first.step, error.message);
        close(first.job);
      } else {
        const half = part.length >>> 1;
        await this.#flush(part.slice(0, half));
        await this.#flush(part.slice(half));
      }
    }
  }

  async #transact(operations: readonly Operation[], signal: AbortSignal): Promise<void> {
    const { store, fence, clock, log, onError } = this.#options;
    await retry(
      async () => {
        const { succeeded } = await store.transact({ when: [fence], then: operations }, { signal });
        // To be asked whether one leads is no write: a full store says yes.
        if (operations.length > 0) this.#failure = undefined;
        if (!succeeded) throw new LeadershipLostError();
      },
      {
        clock,
        signal,
        schedule: backoff,
        retryable: mayPass,
        onFailure: (error, failures, delayMs) => {
          onError?.();
          if (failures >= newsAfter) this.#failure = error instanceof Error ? error.message : String(error);
          // A short interruption is no news for an operator.
          log[failures < newsAfter ? 'debug' : 'warn']('Writing to the local store failed and is repeated', {
            [fields.key]: toText(keyOf(operations[0])),
            [fields.error]: error,
            [fields.attempt]: failures,
            [fields.delayMs]: Math.round(delayMs),
          });
        },
      },
    );
  }
}

/** One step of a job is done, or given up with a reason. */
function close(job: Job, failure?: { readonly error: unknown }): void {
  job.failure ??= failure;
  job.open -= 1;
  if (job.open === 0) job.settled.resolve();
}

function operationOf({ key, value }: CacheStep): Operation {
  return value === undefined ? { type: 'delete', key } : { type: 'put', key, value };
}

function keyOf(operation: Operation | undefined): Uint8Array {
  return operation && typeof operation.key !== 'string' ? operation.key : new Uint8Array(0);
}

/** A full store may get room. */
function mayPass(error: unknown): boolean {
  return error instanceof KvStoreError && (error.retry !== 'never' || error instanceof NoSpaceError);
}

import PQueue from 'p-queue';
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
  /** Transactions at a time; 8 unless told. */
  readonly concurrency?: number;
  /** A transaction failed and is repeated. */
  readonly onError?: () => void;
}

/** etcd's `--max-txn-ops` is 128, and Consul counts conditions, too; its `--max-request-bytes` is 1.5 MiB. */
const maxOperations = 120;
const maxBytes = 1 << 20;
const backoff = exponential({ firstMs: 50, maxMs: 5_000 });

/**
 * The only way into the local store. Every transaction is fenced: one that comes after another leader has taken over changes
 * nothing. A caller waits until its keys are written, however long that takes: whoever produces faster than the local
 * store takes is held back, and nothing is queued beyond what callers hold.
 */
export class CacheWriter {
  readonly #options: CacheWriterOptions;
  readonly #queue: PQueue;

  constructor(options: CacheWriterOptions) {
    this.#options = options;
    this.#queue = new PQueue({ concurrency: options.concurrency ?? 8 });
  }

  /**
   * Carries steps out, in any order; no key may come twice. Gives those that the store cannot take, with the reason.
   * @throws {LeadershipLostError} and errors that repeating does not cure.
   */
  async write(steps: readonly CacheStep[], signal: AbortSignal): Promise<ReadonlyMap<CacheStep, string>> {
    const refused = new Map<CacheStep, string>();
    const parts = [...this.#partsOf(steps)];
    const results = await Promise.allSettled(parts.map((part) => this.#writePart(part, refused, signal)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    return refused;
  }

  /** Carries steps out as one revision. */
  async atomically(steps: readonly CacheStep[], signal: AbortSignal): Promise<void> {
    await this.#transact(steps.map(operationOf), signal);
  }

  /** As {@link atomically}, for what is no plain step. */
  async apply(operations: readonly Operation[], signal: AbortSignal): Promise<void> {
    await this.#transact(operations, signal);
  }

  *#partsOf(steps: readonly CacheStep[]): Generator<CacheStep[], void, void> {
    const most = Math.min(maxBytes, this.#options.store.limits?.maxTransactionBytes ?? maxBytes);
    let part: CacheStep[] = [];
    let bytes = 0;
    for (const step of steps) {
      const size = step.key.length + (step.value?.length ?? 0) + 64;
      if (part.length > 0 && (part.length >= maxOperations || bytes + size > most)) {
        yield part;
        part = [];
        bytes = 0;
      }
      part.push(step);
      bytes += size;
    }
    if (part.length > 0) yield part;
  }

  /** Where the store refuses a part for good, looks for the keys at fault, so that the others get in. */
  async #writePart(part: readonly CacheStep[], refused: Map<CacheStep, string>, signal: AbortSignal): Promise<void> {
    try {
      await this.#transact(part.map(operationOf), signal);
    } catch (error) {
      if (!(error instanceof InvalidRequestError)) throw error;
      const [first] = part;
      if (part.length === 1 && first) {
        refused.set(first, error.message);
        return;
      }
      const half = part.length >>> 1;
      await this.#writePart(part.slice(0, half), refused, signal);
      await this.#writePart(part.slice(half), refused, signal);
    }
  }

  async #transact(operations: readonly Operation[], signal: AbortSignal): Promise<void> {
    const { store, fence, clock, log, onError } = this.#options;
    await retry(
      async () => {
        const { succeeded } = await this.#queue.add(
          () => store.transact({ when: [fence], then: operations }, { signal }),
          { signal },
        );
        if (!succeeded) throw new LeadershipLostError();
      },
      {
        clock,
        signal,
        schedule: backoff,
        retryable: mayPass,
        onFailure: (error, failures, delayMs) => {
          onError?.();
          // A short interruption is no news for an operator.
          log[failures < 3 ? 'debug' : 'warn']('Writing to the local store failed and is repeated', {
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

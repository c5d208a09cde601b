import type { Clock } from '../../runtime/clock/index.ts';
import { fields, type Logger } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { linkedController } from '../../runtime/tasks/index.ts';
import {
  type Bytes,
  KvStoreError,
  LeaseNotFoundError,
  PermissionDeniedError,
  type Store,
  type WatchBatch,
  type WatchEvent,
  toBytes,
} from '../contract/index.ts';
import { CopyTarget } from './copy-target.ts';
import { isLock } from './lock-keys.ts';
import type { Wish } from './wish.ts';

export interface MirrorOptions {
  readonly from: Pick<Store, 'listAndWatch' | 'health'>;
  readonly to: Pick<Store, 'transact' | 'grantLease' | 'put' | 'list'>;
  readonly prefix: Bytes;
  /** Keys that a lease holds in the source go this long after the copier’s last sign of life, unless claimed. */
  readonly leaseTtlSeconds: number;
  /** Ends when the target holds what the first listing said. */
  readonly once?: boolean;
  /** The first listing replaces and deletes what others wrote into the target, too. */
  readonly overwrite?: boolean;
  /**
   * Whether revisions that are lower than before say that the source was wiped or restored: not those of Consul, which go back by
   * themselves. Default true.
   */
  readonly revisionsGrow?: boolean;
  readonly onProgress?: (progress: MirrorProgress) => void;
}

export interface MirrorDependencies {
  readonly clock: Clock;
  readonly log: Logger;
}

export interface MirrorProgress {
  readonly phase: 'target' | 'listing' | 'following';
  /** Keys that the listing gave so far; the number of keys of the source once it is complete. */
  readonly listed: number;
  /** The source’s revision up to which the target has everything. */
  readonly revision: number;
  readonly written: number;
  readonly deleted: number;
  /** Keys left as they are, because somebody else wrote another value. */
  readonly kept: number;
  /** Keys of the target that the source lacks and that no copier wrote. */
  readonly extra: number;
  /** Keys that the target cannot hold. */
  readonly refused: number;
}

/** The source was wiped or restored while it was copied. */
export class SourceReplacedError extends Error {
  override readonly name = 'SourceReplacedError';
  readonly code = 'COPY_SOURCE_REPLACED';

  constructor() {
    super('The source is another store than when the copy began; nothing of it was taken over');
  }
}

const schedule = exponential({ firstMs: 100, maxMs: 10_000 });

/**
 * Copies a prefix of one store into another and follows it until `signal` aborts: first a listing, then each change.
 * Survives lost connections of both. Keys that a lease holds in the source arrive under a lease of the copier’s; whoever
 * writes one of them in the target becomes its owner, and it is left alone from then on. A refusal of what was allowed before passes with the token or
 * the right that is missing for a while; one of what was never allowed ends the copy.
 * @throws {SourceReplacedError} and errors that repeating does not cure
 */
export async function mirror(
  options: MirrorOptions,
  deps: MirrorDependencies,
  signal: AbortSignal,
): Promise<MirrorProgress> {
  let onLost = (): void => undefined;
  await using target = new CopyTarget({
    store: options.to,
    prefix: toBytes(options.prefix),
    leaseTtlSeconds: options.leaseTtlSeconds,
    from: options.from.health().endpoint,
    overwrite: options.overwrite ?? false,
    log: deps.log,
    onLost: () => onLost(),
  });
  const pass = new Pass(options, target);
  try {
    await retry(
      async (running) => {
        using attempt = linkedController(running);
        onLost = () => attempt.abort(new PassEndedError('A lease in the target was lost'));
        await pass.run(attempt.signal);
      },
      {
        clock: deps.clock,
        signal,
        schedule,
        healthyAfterMs: 5000,
        retryable: (error) => mayPass(error) || (error instanceof PermissionDeniedError && pass.wasAllowed),
        onFailure: (error, failures, delayMs) =>
          deps.log[failures < 3 ? 'info' : 'warn']('Copying was interrupted and begins again', {
            [fields.error]: error,
            [fields.delayMs]: Math.round(delayMs),
          }),
      },
    );
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return pass.progress();
}

/** The listing has to be compared anew, for a reason that cures itself. */
class PassEndedError extends Error {
  override readonly name = 'PassEndedError';
}

function mayPass(error: unknown): boolean {
  if (error instanceof PassEndedError || error instanceof LeaseNotFoundError) return true;
  return error instanceof KvStoreError && error.retry !== 'never';
}

/** One listing and what follows it; the next one takes its place when something is lost. */
class Pass {
  readonly #options: MirrorOptions;
  readonly #target: CopyTarget;
  #phase: MirrorProgress['phase'] = 'target';
  #listed = 0;
  #revision = 0;
  /** The highest of all passes. */
  #seen = 0;
  #sourceId: string | undefined;
  /** Some listing was answered, so that both stores may be read. */
  #wasListed = false;
  /** Some listing was complete in the target. */
  #wasInStep = false;
  #isWriting = false;

  constructor(options: MirrorOptions, target: CopyTarget) {
    this.#options = options;
    this.#target = target;
  }

  progress(): MirrorProgress {
    return { phase: this.#phase, listed: this.#listed, revision: this.#revision, ...this.#target.counts };
  }

  /** Whether what was last asked for has been granted before. Who may not write a part of the prefix never comes into step. */
  get wasAllowed(): boolean {
    const { written, deleted } = this.#target.counts;
    return this.#isWriting ? this.#wasInStep && written + deleted > 0 : this.#wasListed;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { from, prefix, once } = this.#options;
    this.#phase = 'target';
    this.#listed = 0;
    this.#isWriting = false;
    await this.#target.load(signal);
    let started = false;
    for await (const batch of from.listAndWatch(prefix, { signal })) {
      this.#checkSource(batch);
      if (batch.type === 'restart') {
        if (batch.reason === 'store-replaced') throw new SourceReplacedError();
        if (started) throw new PassEndedError(`The source has to be listed again: ${batch.reason}`);
        started = true;
        this.#phase = 'listing';
      } else if (batch.type === 'changes') {
        this.#wasListed = true;
        const wishes = batch.events.flatMap((event) => wishOf(event) ?? []);
        await this.#writing(this.#target.apply(wishes, signal));
        if (this.#phase === 'listing') this.#listed += wishes.length;
        else {
          this.#revision = batch.revision;
          this.#seen = Math.max(this.#seen, batch.revision);
        }
      } else {
        this.#wasListed = true;
        await this.#writing(this.#target.finishListing(signal));
        this.#wasInStep = true;
        this.#revision = batch.revision;
        this.#seen = Math.max(this.#seen, batch.revision);
        this.#phase = 'following';
      }
      this.#options.onProgress?.(this.progress());
      if (batch.type === 'synced' && once) return;
    }
    // A watch ends without error when its signal aborts, whoever aborted it.
    signal.throwIfAborted();
  }

  async #writing(written: Promise<void>): Promise<void> {
    this.#isWriting = true;
    await written;
    this.#isWriting = false;
  }

  /** Also a source that was replaced between two attempts must not empty the target. */
  #checkSource(batch: WatchBatch): void {
    const { from, revisionsGrow = true } = this.#options;
    const { storeId } = from.health();
    if (storeId !== undefined) {
      this.#sourceId ??= storeId;
      if (storeId !== this.#sourceId) throw new SourceReplacedError();
    }
    // An etcd that was wiped keeps its id.
    if (batch.type !== 'restart' && this.#phase === 'listing' && revisionsGrow && batch.revision < this.#seen)
      throw new SourceReplacedError();
  }
}

/** Undefined for what is not copied. */
function wishOf(event: WatchEvent): Wish | undefined {
  if (event.type === 'delete') return { key: event.key, value: undefined, leased: false };
  if (isLock(event.entry)) return undefined;
  const { key, value, lease } = event.entry;
  return { key, value, leased: lease !== 0n };
}

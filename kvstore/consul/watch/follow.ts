import { fields } from '../../../runtime/log/index.ts';
import { exponential } from '../../../runtime/retry/index.ts';
import { linkedController } from '../../../runtime/tasks/index.ts';
import { KvStoreError, type RestartReason, type WatchBatch, toText } from '../../contract/index.ts';
import { markName } from '../keys.ts';
import { readKey } from '../read.ts';
import type { FollowOptions } from './follow-options.ts';
import { ShardFollower, smallestPart } from './follow-shards.ts';
import { type Difference, eventsOf } from './known-entries.ts';
import { ensureMark } from './mark.ts';
import { Shard, type ShardOptions } from './shard.ts';

const backoff = exponential({ firstMs: 50, maxMs: 2000 });
/** One watch takes at most so many parts; more would not make it faster. Fewer may not suffice for a single cut. */
const mostShards = 48;
const leastShards = 16;
/** After parts that did not fit, the whole is followed for this long. */
const unfitRestMs = 5000;

/**
 * `listAndWatch` over blocking queries: one for a small prefix ({@link Shard}), one for each part of a large one
 * ({@link ShardFollower}). Another incarnation key, or another store id, means another store: everything is listed again.
 */
export async function* follow(options: FollowOptions): AsyncGenerator<WatchBatch, void, void> {
  if (options.signal.aborted) return;
  using running = linkedController(options.signal);
  try {
    yield* new Follower(options, running.signal).run();
  } catch (error) {
    options.http.closing.throwIfAborted();
    if (options.signal.aborted) return;
    throw error;
  }
}

class Follower {
  readonly #options: FollowOptions;
  readonly #signal: AbortSignal;
  readonly #what: string;
  #whole: Shard;
  #mark: string | undefined;
  #storeId: string | undefined;
  #revision = 0;
  #failures = 0;
  #warned = false;
  #wholeUntilMs = 0;

  constructor(options: FollowOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#what = `follow ${JSON.stringify(options.prefix)}`;
    this.#whole = this.#newWhole();
  }

  async *run(): AsyncGenerator<WatchBatch, void, void> {
    for (let reason: RestartReason | undefined = 'start'; ;) {
      this.#signal.throwIfAborted();
      try {
        if (reason) {
          const difference = await this.#list();
          yield { type: 'restart', reason };
          reason = undefined;
          yield* this.#pages(difference);
          yield { type: 'synced', revision: this.#revision };
        } else if ((yield* this.#follow()) === 'replaced') {
          this.#options.log.warn('Store was replaced', { [fields.prefix]: this.#options.prefix });
          reason = 'store-replaced';
          this.#options.http.forget();
        }
        this.#failures = 0;
      } catch (error) {
        if (this.#signal.aborted || !(error instanceof KvStoreError) || error.retry === 'never') throw error;
        await this.#rest(error);
      }
    }
  }

  async #list(): Promise<Difference> {
    const { http, prefix, identify } = this.#options;
    this.#revision = 0;
    this.#storeId = (await identify(this.#signal)) ?? this.#storeId;
    await ensureMark(http, prefix, { what: this.#what, signal: this.#signal });
    const floor = http.revision;
    this.#whole = this.#newWhole();
    const reading = await this.#whole.read(this.#signal);
    this.#mark = reading.mark;
    const difference = this.#whole.take(reading);
    this.#seen(floor);
    return difference;
  }

  /** Until the next change of a small prefix, or until the parts of a large one no longer fit. */
  async *#follow(): AsyncGenerator<WatchBatch, 'replaced' | 'changed', void> {
    const { http, clock, shards, shardKeys } = this.#options;
    const { size, inDoubt } = this.#whole;
    if (size >= shardKeys && !inDoubt && clock.monotonicMs() >= this.#wholeUntilMs) {
      using taken = shards.take(Math.min(mostShards, Math.max(leastShards, Math.ceil(size / smallestPart(shardKeys)))));
      if (taken.count > 0) return yield* this.#followShards(taken.count);
    }
    const floor = http.revision;
    let difference: Difference | undefined;
    const found = await this.#whole.next(this.#signal, (changes) => (difference = changes));
    if (found === 'replaced') return found;
    if (!this.#whole.inDoubt) this.#seen(floor);
    if (difference) {
      const events = eventsOf(difference, this.#revision);
      yield { type: 'changes', events, revision: this.#revision };
    }
    if (found.restMs > 0) await clock.sleep(found.restMs, this.#signal);
    return 'changed';
  }

  async *#followShards(limit: number): AsyncGenerator<WatchBatch, 'replaced' | 'changed', void> {
    const { log, clock, prefix } = this.#options;
    const start = {
      limit,
      revision: this.#revision,
      marked: this.#mark !== undefined,
      onSize: (size: number) => this.#warnIfLarge(size),
    };
    const parts = new ShardFollower(this.#options, this.#shardOptions(), this.#whole, start);
    log.debug('Following in parts', { [fields.prefix]: prefix, [fields.count]: parts.count });
    const end = yield* parts.run(this.#signal);
    this.#revision = parts.revision;
    if (end === 'replaced') return end;
    this.#wholeUntilMs = clock.monotonicMs() + unfitRestMs;
    this.#whole.doubt();
    return 'changed';
  }

  #newWhole(): Shard {
    return new Shard(this.#options.prefix, {
      ...this.#shardOptions(),
      sameStore: (signal) => this.#sameId(signal),
      isAnother: (mark) => mark !== this.#mark,
    });
  }

  #shardOptions(): ShardOptions {
    const { http, clock, waitMs } = this.#options;
    return { http, clock, what: this.#what, waitMs, sameStore: (signal) => this.#sameStore(signal) };
  }

  async #sameId(signal: AbortSignal): Promise<boolean> {
    const storeId = await this.#options.identify(signal);
    return storeId === undefined || this.#storeId === undefined || storeId === this.#storeId;
  }

  async #sameStore(signal: AbortSignal): Promise<boolean> {
    const { http, prefix } = this.#options;
    if (!(await this.#sameId(signal))) return false;
    const { entry } = await readKey(http, prefix + markName, { what: this.#what, signal });
    return (entry && toText(entry.value)) === this.#mark;
  }

  /** @param floor an index that the store had reached before it was asked: its answer shows all up to there */
  #seen(floor: number): void {
    this.#revision = Math.max(this.#revision, this.#whole.index, floor);
    this.#warnIfLarge(this.#whole.size);
  }

  *#pages(difference: Difference): Generator<WatchBatch, void, void> {
    const { pageSize } = this.#options;
    const events = eventsOf(difference, this.#revision);
    for (let from = 0; from < events.length; from += pageSize)
      yield { type: 'changes', events: events.slice(from, from + pageSize), revision: this.#revision };
  }

  async #rest(error: KvStoreError): Promise<void> {
    const { clock, log, random, prefix } = this.#options;
    this.#whole.doubt();
    this.#failures += 1;
    const delayMs = backoff(this.#failures, random());
    if (this.#failures === 1)
      log.info('Following is interrupted', {
        [fields.prefix]: prefix,
        [fields.error]: error,
        [fields.delayMs]: delayMs,
      });
    await clock.sleep(delayMs, this.#signal);
  }

  #warnIfLarge(size: number): void {
    const { log, prefix, largePrefixKeys } = this.#options;
    if (this.#warned || size <= largePrefixKeys) return;
    this.#warned = true;
    log.warn('Prefix is large for Consul', {
      [fields.prefix]: prefix,
      [fields.count]: size,
      [fields.hint]: `Consul was measured to carry ${largePrefixKeys} keys a prefix (docs/consul.md); with more, changes come late and cost much: use etcd`,
    });
  }
}

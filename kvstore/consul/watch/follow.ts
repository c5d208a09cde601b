import type { Clock } from '../../../runtime/clock/index.ts';
import { fields, type Logger } from '../../../runtime/log/index.ts';
import { exponential } from '../../../runtime/retry/index.ts';
import { linkedController } from '../../../runtime/tasks/index.ts';
import { KvStoreError, type RestartReason, type WatchBatch, toText } from '../../contract/index.ts';
import type { ConsulHttp } from '../http/index.ts';
import { isMark, markName } from '../keys.ts';
import { readPrefix } from '../read.ts';
import { type Difference, KnownEntries, type Snapshot, eventsOf } from './known-entries.ts';
import { ensureMark } from './mark.ts';

export interface FollowOptions {
  readonly http: ConsulHttp;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly prefix: string;
  readonly waitMs: number;
  readonly pageSize: number;
  /** Beyond this many keys a warning is due: every change costs a reading of all. */
  readonly largePrefixKeys: number;
  /** Asks which store this is; undefined if it cannot be known. */
  readonly identify: (signal: AbortSignal) => Promise<string | undefined>;
  readonly signal: AbortSignal;
}

const backoff = exponential({ firstMs: 50, maxMs: 2000 });
/** Between two readings at most this long is rested; it bounds the delay of large prefixes. */
const longestRestMs = 500;
const nothing: Difference = { changed: [], gone: [] };

/**
 * `listAndWatch` over blocking queries. Consul keeps no history and every answer is the whole prefix, so changes are the
 * difference between two answers: each key's last change comes, what lay between two answers does not.
 *
 * A failed query, or an index that goes back, leaves in doubt whether equal indexes still mean equal entries: then
 * values are compared, too. Another mark, or another store id, means another store: everything is listed again.
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
  readonly #known = new KnownEntries();
  #mark: string | undefined;
  #storeId: string | undefined;
  /** Index of the last answer that was taken over. */
  #index = 0;
  #revision = 0;
  #inDoubt = false;
  #failures = 0;
  #warned = false;

  constructor(options: FollowOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#what = `follow ${JSON.stringify(options.prefix)}`;
  }

  async *run(): AsyncGenerator<WatchBatch, void, void> {
    for (let reason: RestartReason | undefined = 'start'; ;) {
      this.#signal.throwIfAborted();
      try {
        const difference = reason ? await this.#list() : await this.#next();
        this.#failures = 0;
        if (difference === 'replaced') {
          this.#options.log.warn('Store was replaced', { [fields.prefix]: this.#options.prefix });
          reason = 'store-replaced';
          this.#options.http.forget();
        } else if (reason) {
          yield { type: 'restart', reason };
          reason = undefined;
          yield* this.#pages(difference);
          yield { type: 'synced', revision: this.#revision };
        } else if (difference.changed.length + difference.gone.length > 0) {
          const events = eventsOf(difference, this.#revision);
          yield { type: 'changes', events, revision: this.#revision };
        }
      } catch (error) {
        if (this.#signal.aborted || !(error instanceof KvStoreError) || error.retry === 'never') throw error;
        await this.#rest(error);
      }
    }
  }

  async #list(): Promise<Difference> {
    const { http, prefix, identify } = this.#options;
    this.#known.clear();
    this.#revision = 0;
    this.#storeId = (await identify(this.#signal)) ?? this.#storeId;
    await ensureMark(http, prefix, { what: this.#what, signal: this.#signal });
    const floor = http.revision;
    const { snapshot, index, mark } = await this.#read();
    this.#mark = mark;
    return this.#take(snapshot, index, floor);
  }

  async #next(): Promise<Difference | 'replaced'> {
    const { http, identify, clock } = this.#options;
    const thorough = this.#inDoubt;
    if (thorough) {
      const storeId = await identify(this.#signal);
      if (storeId !== undefined && this.#storeId !== undefined && storeId !== this.#storeId) return 'replaced';
    }
    const floor = http.revision;
    const { snapshot, index, mark, tookMs } = await this.#read(thorough ? undefined : Math.max(1, this.#index));
    // What has changed since the last answer must be younger than it, or the store's history is another one. But only
    // a thorough reading tells: a server that has just come up answers before it has caught up with its own log.
    const another = mark !== this.#mark || snapshot.oldestChange <= this.#index;
    if (thorough && another) return 'replaced';
    if (!thorough && (another || index < this.#index)) {
      this.#inDoubt = true;
      return nothing;
    }
    const difference = this.#take(snapshot, index, floor);
    // At most half of the time goes into reading.
    if (tookMs > 2) await clock.sleep(Math.min(tookMs, longestRestMs), this.#signal);
    return difference;
  }

  /** One snapshot: when something has changed beyond `index`, or at once. */
  async #read(index?: number): Promise<{
    readonly snapshot: Snapshot;
    readonly index: number;
    readonly mark: string | undefined;
    readonly tookMs: number;
  }> {
    const { http, prefix, waitMs, clock } = this.#options;
    let snapshot = this.#known.compare(this.#inDoubt);
    let mark: string | undefined;
    let sinceMs = 0;
    const found = await readPrefix(http, {
      prefix,
      what: this.#what,
      signal: this.#signal,
      begin: () => {
        snapshot = this.#known.compare(this.#inDoubt);
        mark = undefined;
        sinceMs = clock.monotonicMs();
        return (entry) => {
          if (!isMark(entry.key)) snapshot.see(entry);
          else if (entry.key === prefix + markName) mark = toText(entry.toKeyValue().value);
        };
      },
      ...(index === undefined ? {} : { after: { index, waitMs } }),
    });
    return { snapshot, index: found, mark, tookMs: clock.monotonicMs() - sinceMs };
  }

  /** @param floor an index that the store had reached before it was asked: its answer shows all up to there */
  #take(snapshot: Snapshot, index: number, floor: number): Difference {
    const difference = snapshot.apply();
    this.#index = index;
    this.#inDoubt = false;
    this.#revision = Math.max(this.#revision, index, floor);
    this.#options.http.saw(index);
    this.#warnIfLarge();
    return difference;
  }

  *#pages(difference: Difference): Generator<WatchBatch, void, void> {
    const { pageSize } = this.#options;
    const events = eventsOf(difference, this.#revision);
    for (let from = 0; from < events.length; from += pageSize)
      yield { type: 'changes', events: events.slice(from, from + pageSize), revision: this.#revision };
  }

  /** After a failure: the next answer is asked for at once and compared thoroughly. */
  async #rest(error: KvStoreError): Promise<void> {
    const { clock, log, random, prefix } = this.#options;
    this.#inDoubt = true;
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

  #warnIfLarge(): void {
    const { log, prefix, largePrefixKeys } = this.#options;
    if (this.#warned || this.#known.size <= largePrefixKeys) return;
    this.#warned = true;
    log.warn('Prefix is large for Consul', {
      [fields.prefix]: prefix,
      [fields.count]: this.#known.size,
      [fields.hint]: 'Each change makes every watcher read all of these keys: watch narrower prefixes, or use etcd',
    });
  }
}

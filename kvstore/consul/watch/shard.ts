import type { Clock } from '../../../runtime/clock/index.ts';
import { type WatchEvent, toText } from '../../contract/index.ts';
import type { ConsulHttp } from '../http/index.ts';
import type { JournaledChange } from '../journal/index.ts';
import { isMark, markName } from '../keys.ts';
import { readPrefix } from '../read.ts';
import { type Difference, KnownEntries, type Snapshot } from './known-entries.ts';

export interface ShardOptions {
  readonly http: ConsulHttp;
  readonly clock: Clock;
  /** What is followed, for errors. */
  readonly what: string;
  readonly waitMs: number;
  /** Asks, consistently, whether this is still the store that was listed. */
  readonly sameStore: (signal: AbortSignal) => Promise<boolean>;
  /** Where the incarnation key is one of the prefix itself: whether it says that this is another store. */
  readonly isAnother?: (mark: string | undefined) => boolean;
}

/** Between two readings at most this long is rested; it bounds the delay of large prefixes. */
const longestRestMs = 500;
/**
 * Rest after a reading that only confirmed what the journal had told: a millisecond a key, within these bounds. It is how
 * late a stranger's write may come where writers of ours are busy, and what keeps large parts from being read all the time.
 */
const confirmedRestMs = { least: 250, most: 2000 } as const;

/** One answer about a prefix, compared with what is known, and not yet taken over. */
export interface Reading {
  readonly snapshot: Snapshot;
  readonly index: number;
  readonly mark: string | undefined;
  readonly tookMs: number;
}

/**
 * One prefix that is followed by blocking queries. Consul keeps no history and every answer is the whole prefix, so
 * changes are the difference between two answers: each key's last change comes, what lay between two answers does not.
 *
 * A failed query, or an index that goes back, leaves in doubt whether equal indexes still mean equal entries: then it reads
 * again, consistently, and values are compared, too; only such a reading concludes that the store was replaced.
 */
export class Shard {
  readonly prefix: string;
  readonly #options: ShardOptions;
  readonly #known: KnownEntries;
  /** Index of the last answer that was taken over; 0 for none. */
  #index: number;
  /** All up to this revision is known. */
  #asOf: number;
  #inDoubt = false;
  /** Answers in a row that did not come up to what the journal told. */
  #behind = 0;

  constructor(
    prefix: string,
    options: ShardOptions,
    start: { readonly known: KnownEntries; readonly index: number; readonly asOf: number } = {
      known: new KnownEntries(),
      index: 0,
      asOf: 0,
    },
  ) {
    this.prefix = prefix;
    this.#options = options;
    this.#known = start.known;
    this.#index = start.index;
    this.#asOf = start.asOf;
  }

  get known(): KnownEntries {
    return this.#known;
  }

  get size(): number {
    return this.#known.size;
  }

  get index(): number {
    return this.#index;
  }

  get inDoubt(): boolean {
    return this.#inDoubt;
  }

  /** After a failure: the next answer is asked for at once, and compared thoroughly. */
  doubt(): void {
    this.#inDoubt = true;
  }

  /**
   * Waits for the next answer and takes it over. What it changes is told in the very moment it is known here, so that
   * nothing that the journal tells can come between. Gives how long to rest before the next.
   */
  async next(
    signal: AbortSignal,
    onChange: (difference: Difference) => void,
  ): Promise<{ readonly restMs: number } | 'replaced'> {
    const thorough = this.#inDoubt || this.#index === 0;
    const reading = await this.read(signal, thorough ? undefined : Math.max(1, this.#index));
    const { snapshot, index, tookMs } = reading;
    // What has changed since the last answer must be younger than it, or the store's history is another one. But only
    // a thorough reading tells: a server that has just come up answers before it has caught up with its own log.
    const another = snapshot.oldestChange <= this.#index || this.#options.isAnother?.(reading.mark) === true;
    if (this.#inDoubt && (another || !(await this.#options.sameStore(signal)))) return 'replaced';
    if (!thorough && (another || index < this.#index || this.#isBehind(index))) {
      this.#inDoubt = true;
      return { restMs: 0 };
    }
    const moved = index !== this.#index;
    const confirms = this.#known.newestJournaled > 0;
    const difference = this.take(reading);
    const changed = difference.changed.length + difference.gone.length > 0;
    if (changed) onChange(difference);
    // At most half of the time goes into reading.
    const halfMs = tookMs > 2 ? Math.min(tookMs, longestRestMs) : 0;
    return { restMs: moved && !changed && confirms ? Math.max(halfMs, this.#confirmedRestMs()) : halfMs };
  }

  /** One snapshot: when something has changed beyond `index`, or at once. */
  async read(signal: AbortSignal, index?: number): Promise<Reading> {
    const { http, what, waitMs, clock } = this.#options;
    const thorough = this.#inDoubt;
    let snapshot = this.#known.compare(thorough);
    let mark: string | undefined;
    let sinceMs = 0;
    const found = await readPrefix(http, {
      prefix: this.prefix,
      what,
      signal,
      begin: () => {
        snapshot = this.#known.compare(thorough);
        mark = undefined;
        sinceMs = clock.monotonicMs();
        return (entry) => {
          if (!isMark(entry.key)) snapshot.see(entry);
          else if (entry.key === this.prefix + markName) mark = toText(entry.toKeyValue().value);
        };
      },
      ...(index === undefined ? {} : { after: { index, waitMs } }),
    });
    return { snapshot, index: found, mark, tookMs: clock.monotonicMs() - sinceMs };
  }

  take({ snapshot, index }: Reading): Difference {
    const difference = snapshot.apply(index);
    this.#index = index;
    this.#asOf = Math.max(index, this.#inDoubt ? 0 : this.#asOf);
    this.#inDoubt = false;
    this.#behind = 0;
    this.#options.http.saw(index);
    return difference;
  }

  /** What a change that the journal told means to others; nothing where it is known already. */
  journal(change: JournaledChange): WatchEvent | undefined {
    // Before the first answer, and while in doubt, the answer that is on its way says it all.
    if (this.#inDoubt || this.#index === 0 || change.revision <= this.#asOf) return undefined;
    return this.#known.journal(change);
  }

  #confirmedRestMs(): number {
    return Math.min(confirmedRestMs.most, Math.max(confirmedRestMs.least, this.size));
  }

  /** What the journal tells comes true in an answer soon, or it was not true. */
  #isBehind(index: number): boolean {
    this.#behind = index < this.#known.newestJournaled ? this.#behind + 1 : 0;
    return this.#behind >= 2;
  }
}

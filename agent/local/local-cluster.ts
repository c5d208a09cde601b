import type { Clock } from '../../runtime/clock/index.ts';
import { reasonOf } from '../../runtime/files/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import { FeedSource, StoreChangedError, SyncMarks, ownSyncedPrefix, syncedPrefix } from '../../clustermesh/index.ts';
import { type Store, WatchStore } from '../../kvstore/index.ts';
import type { LocalFeed, LocalKind } from './local-feeds.ts';

export interface LocalClusterDeps {
  readonly store: Pick<Store, 'listAndWatch'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called when a listing or a mark arrived. */
  readonly onChange: () => void;
  /** Called when the store's content was replaced: what we wrote there may be gone. */
  readonly onReplaced?: () => void;
}

interface Followed {
  readonly feed: LocalFeed;
  readonly watch: WatchStore;
  listed: boolean;
  /** Its writer has said that the set is complete. */
  marked: boolean;
}

/**
 * Follows the own cluster's store. A fresh agent reads at once whatever is there. A store whose content was replaced is
 * not read again before its writers have marked each set as complete: until then what was known stays.
 */
export class LocalCluster {
  readonly #cluster: string;
  readonly #deps: LocalClusterDeps;
  readonly #source = new FeedSource();
  readonly #followed: readonly Followed[];
  #waitForMarks = false;
  #refused = 0;
  #interruption: string | undefined;

  constructor(cluster: string, feeds: readonly LocalFeed[], deps: LocalClusterDeps) {
    this.#cluster = cluster;
    this.#deps = deps;
    this.#followed = feeds.map((feed) => this.#follow(feed));
  }

  /** Values that were refused; the versions accepted before them stay in use. */
  get refused(): number {
    return this.#refused;
  }

  /** True once these sets were listed completely in this process. */
  listed(...kinds: readonly LocalKind[]): boolean {
    return this.#followed.every(({ feed, listed }) => listed || (kinds.length > 0 && !kinds.includes(feed.kind)));
  }

  /**
   * What is still missing before anything may be judged gone. Marks and records come by different watches, so that the
   * last records of a set may follow its mark by a moment.
   */
  waitingFor(): string[] {
    const missing = this.#followed
      .filter(({ listed, marked }) => !listed || !marked)
      .map(({ feed, listed }) => (listed ? `mark ${feed.mark}` : `listing of ${feed.prefix}`));
    return [...new Set(missing)];
  }

  /**
   * Why the store is not followed at present; undefined while it is. One that answers may refuse all the same, as where a token was
   * taken back: then no change arrives although there is a connection.
   */
  get interruption(): string | undefined {
    return this.#interruption;
  }

  /** Follows until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    await retry((attempt) => this.#attempt(attempt), {
      clock,
      signal,
      schedule: exponential({ firstMs: 200, maxMs: 10_000 }),
      onFailure: (error, failures, delayMs) => {
        if (error instanceof StoreChangedError) {
          this.#waitForMarks = true;
          this.#deps.onReplaced?.();
        } else this.#interruption = reasonOf(error);
        log.warn('Following the local store failed', {
          [fields.error]: error,
          [fields.attempt]: failures,
          [fields.delayMs]: Math.round(delayMs),
        });
      },
    });
  }

  async #attempt(signal: AbortSignal): Promise<void> {
    const { store } = this.#deps;
    this.#source.use(store);
    await using tasks = new TaskGroup(signal);
    const marks = [syncedPrefix(this.#cluster), ownSyncedPrefix].map((prefix) => ({
      prefix,
      seen: new SyncMarks(prefix),
    }));
    for (const { seen } of marks) tasks.run((running) => seen.follow(store, running));
    for (const followed of this.#followed) {
      const { mark } = followed.feed;
      const { prefix, seen } = marks.find((candidate) => mark.startsWith(candidate.prefix)) ?? {};
      if (prefix === undefined || !seen) throw new TypeError(`Nobody watches the mark ${mark}`);
      const marked = (running: AbortSignal): Promise<void> => seen.present(mark.slice(prefix.length), running);
      tasks.run(async (running) => {
        if (this.#waitForMarks) await marked(running);
        await followed.watch.run(running);
      });
      tasks.run(async (running) => {
        await marked(running);
        followed.marked = true;
        this.#deps.onChange();
      });
    }
    await tasks.wait();
  }

  #follow(feed: LocalFeed): Followed {
    const { log, onChange } = this.#deps;
    const watch = new WatchStore({
      store: this.#source,
      prefix: feed.prefix,
      log,
      observer: {
        ...(feed.rows ? { rows: feed.rows } : {}),
        upsert: (key, value, { revision }) => this.#upsert(feed, key, value, revision),
        remove: (key) => feed.remove(key),
        restart: () => feed.restart?.(),
        synced: () => {
          followed.listed = true;
          if (this.#followed.every((one) => one.watch.synced)) this.#interruption = undefined;
          onChange();
        },
      },
    });
    const followed: Followed = { feed, watch, listed: false, marked: false };
    return followed;
  }

  #upsert(feed: LocalFeed, key: string, value: Uint8Array, revision: number): void {
    try {
      feed.upsert(key, value, revision);
    } catch (error) {
      this.#refused++;
      this.#deps.log.warn('A record of the local store is refused', {
        [fields.key]: feed.prefix + key,
        [fields.error]: error,
      });
    }
  }
}

import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { type Store, WatchStore } from '../../kvstore/index.ts';
import { type CopyReportRecord, copierAliveKey, copyReportsPrefix, decodeCopyReport } from '../wire/index.ts';
import { FeedSource } from './feed-source.ts';
import { LastBeat, heartbeatLimitMs } from './last-beat.ts';

/** What is said of the copies of one remote cluster. */
export type CopyState =
  | { readonly state: 'current' }
  /** They may be old. `stale`: so old that their writer counts as silent. */
  | { readonly state: 'behind'; readonly reason: string; readonly stale: boolean; readonly ageMs?: number }
  /** Nobody says: Cilium's kvstoremesh, or one of ours from before it told. */
  | { readonly state: 'unknown' };

export interface CopyReportReaderDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly onChange?: () => void;
}

/** What the kvstoremesh that writes into one store says there, over however many connections it is read. */
export class CopyReportReader {
  readonly #deps: CopyReportReaderDeps;
  readonly #alive: LastBeat;
  readonly #reports = new Map<string, CopyReportRecord>();
  readonly #source = new FeedSource();
  readonly #watch: WatchStore;
  #reportsListed = false;
  #aliveListed = false;
  #failure: unknown;

  constructor(deps: CopyReportReaderDeps) {
    const { clock, log, onChange } = deps;
    this.#deps = deps;
    this.#alive = new LastBeat(clock);
    this.#watch = new WatchStore({
      store: this.#source,
      prefix: copyReportsPrefix,
      log,
      observer: {
        upsert: (cluster, value) => {
          this.#reports.set(cluster, decodeCopyReport(cluster, value));
          onChange?.();
        },
        remove: (cluster) => {
          this.#reports.delete(cluster);
          onChange?.();
        },
        synced: () => {
          this.#reportsListed = true;
          this.#failure = undefined;
          onChange?.();
        },
      },
    });
  }

  /** Whether it has anything to say of a cluster. */
  speaksOf(cluster: string): boolean {
    return this.#reports.has(cluster);
  }

  /** Undefined where nobody has ever said there that he reports. Until that was read, nothing is said to be well. */
  verdict(cluster: string): CopyState | undefined {
    if (!this.#reportsListed || !this.#aliveListed) return notRead(this.#failure);
    const aliveMs = this.#alive.ageMs;
    if (aliveMs === undefined) return undefined;
    if (this.#alive.stale) {
      const seconds = Math.round(aliveMs / 1000);
      const reason = `The kvstoremesh that copies it has been silent for ${seconds} seconds`;
      return { state: 'behind', reason, stale: true, ageMs: aliveMs };
    }
    const report = this.#reports.get(cluster);
    if (!report) return { state: 'behind', reason: 'The kvstoremesh does not copy it', stale: true };
    return judgeCopyReport(report, this.#deps.clock.now());
  }

  /** Follows what is said in `store` until `signal` aborts. Another connection to the same store goes on where this one ended. */
  async run(store: Pick<Store, 'listAndWatch'>, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    this.#source.use(store);
    const follow = async (task: (running: AbortSignal) => Promise<void>): Promise<void> =>
      await retry(task, {
        clock,
        signal,
        schedule: exponential({ firstMs: 500, maxMs: 30_000 }),
        onFailure: (error) => {
          this.#failure = error;
          log.debug('Cannot follow what the kvstoremesh says of its copies', { [fields.error]: error });
        },
      });
    await Promise.all([follow((running) => this.#watch.run(running)), follow((running) => this.#listen(running))]);
  }

  async #listen(signal: AbortSignal): Promise<void> {
    let listing = true;
    let found = false;
    for await (const batch of this.#source.listAndWatch(copierAliveKey, { signal })) {
      if (batch.type === 'restart') {
        [listing, found] = [true, false];
      } else if (batch.type === 'synced') {
        if (!found) this.#alive.forget();
        [listing, this.#aliveListed] = [false, true];
        this.#deps.onChange?.();
      } else
        for (const event of batch.events) {
          found = event.type === 'put';
          if (event.type === 'put') this.#alive.beat(event.entry.value, listing ? 'listed' : 'arrived');
          else this.#alive.forget();
        }
    }
  }
}

/** What a report means. */
export function judgeCopyReport(report: CopyReportRecord, nowMs: number): CopyState {
  const { connected, synced, stale, lastHeartbeatMs, failure } = report;
  if (connected && synced && !stale && failure === undefined) return { state: 'current' };
  const heardMs = lastHeartbeatMs === undefined ? undefined : Math.max(0, nowMs - lastHeartbeatMs);
  const what = connected ? (stale ? 'the remote cluster is silent' : 'not everything is copied') : 'not connected';
  const heard = heardMs === undefined ? '' : `, last heard of ${Math.round(heardMs / 1000)} seconds ago`;
  return {
    state: 'behind',
    reason: `Its kvstoremesh says: ${what}${heard}${failure === undefined ? '' : ` (${failure})`}`,
    stale: stale || (!connected && heardMs !== undefined && heardMs > heartbeatLimitMs),
    ...(heardMs === undefined ? {} : { ageMs: heardMs }),
  };
}

/** What can be said before anything was read. @param failure what kept it from being read */
export function notRead(failure?: unknown): CopyState {
  const why = failure instanceof Error ? `: ${failure.message}` : '';
  return { state: 'behind', reason: `What its kvstoremesh says of it was not read yet${why}`, stale: false };
}

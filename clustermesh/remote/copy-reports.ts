import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { type Store, WatchStore } from '../../kvstore/index.ts';
import { type CopyReportRecord, copierAliveKey, copyReportsPrefix, decodeCopyReport } from '../wire/index.ts';
import { LastBeat, heartbeatLimitMs } from './last-beat.ts';

/** What is said of the copies of one remote cluster in the own cluster's store. */
export type CopyState =
  | { readonly state: 'current' }
  /** They may be old. `stale`: so old that their writer counts as silent. */
  | { readonly state: 'behind'; readonly reason: string; readonly stale: boolean; readonly ageMs?: number }
  /** Nobody says: Cilium's kvstoremesh, or one of ours from before it told. */
  | { readonly state: 'unknown' };

export interface CopyReportsDeps {
  /** The own cluster's. */
  readonly store: Pick<Store, 'listAndWatch' | 'health'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onChange?: () => void;
}

const unknown: CopyState = { state: 'unknown' };

/**
 * What the own cluster's kvstoremesh says of the remote clusters that it copies. Who reads a copy hears the heartbeat of its own
 * cluster there, which goes on when the remote is cut off and when the copier is dead.
 */
export class CopyReports {
  readonly #deps: CopyReportsDeps;
  readonly #alive: LastBeat;
  readonly #reports = new Map<string, CopyReportRecord>();
  #listed = false;

  constructor(deps: CopyReportsDeps) {
    this.#deps = deps;
    this.#alive = new LastBeat(deps.clock);
  }

  /**
   * @param storeId of the store that the copies are read from: of any but the own cluster's nothing is known here
   * @param leased whether its configuration there has a lease. Cilium's kvstoremesh gives one to all it writes, ours to nothing.
   */
  of(cluster: string, copy: { readonly storeId: string | undefined; readonly leased: boolean }): CopyState {
    const aliveMs = this.#alive.ageMs;
    const { storeId } = this.#deps.store.health();
    const isElsewhere = storeId !== undefined && copy.storeId !== undefined && storeId !== copy.storeId;
    if (!this.#listed || aliveMs === undefined || copy.leased || isElsewhere) return unknown;
    if (this.#alive.stale) {
      const seconds = Math.round(aliveMs / 1000);
      const reason = `The kvstoremesh that copies it has been silent for ${seconds} seconds`;
      return { state: 'behind', reason, stale: true, ageMs: aliveMs };
    }
    const report = this.#reports.get(cluster);
    if (!report) return { state: 'behind', reason: 'The kvstoremesh does not copy it', stale: true };
    return this.#judge(report);
  }

  /** Follows the own store until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, clock, log, onChange } = this.#deps;
    const reports = new WatchStore({
      store,
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
          this.#listed = true;
          onChange?.();
        },
      },
    });
    const follow = async (task: (running: AbortSignal) => Promise<void>): Promise<void> =>
      await retry(task, {
        clock,
        signal,
        schedule: exponential({ firstMs: 500, maxMs: 30_000 }),
        onFailure: (error) =>
          log.debug('Cannot follow what the kvstoremesh says of its copies', { [fields.error]: error }),
      });
    await Promise.all([follow((running) => reports.run(running)), follow((running) => this.#listen(running))]);
  }

  async #listen(signal: AbortSignal): Promise<void> {
    let listing = true;
    for await (const batch of this.#deps.store.listAndWatch(copierAliveKey, { signal })) {
      if (batch.type === 'restart') listing = true;
      else if (batch.type === 'synced') listing = false;
      else
        for (const event of batch.events) {
          if (event.type === 'put') this.#alive.beat(event.entry.value, listing ? 'listed' : 'arrived');
          else this.#alive.forget();
        }
    }
  }

  #judge({ connected, synced, stale, lastHeartbeatMs, failure }: CopyReportRecord): CopyState {
    if (connected && synced && !stale && failure === undefined) return { state: 'current' };
    const heardMs = lastHeartbeatMs === undefined ? undefined : Math.max(0, this.#deps.clock.now() - lastHeartbeatMs);
    const what = connected ? (stale ? 'the remote cluster is silent' : 'not everything is copied') : 'not connected';
    const heard = heardMs === undefined ? '' : `, last heard of ${Math.round(heardMs / 1000)} seconds ago`;
    return {
      state: 'behind',
      reason: `Its kvstoremesh says: ${what}${heard}${failure === undefined ? '' : ` (${failure})`}`,
      stale: stale || (!connected && heardMs !== undefined && heardMs > heartbeatLimitMs),
      ...(heardMs === undefined ? {} : { ageMs: heardMs }),
    };
  }
}

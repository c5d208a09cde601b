import type { Clock } from '../../runtime/clock/index.ts';
import { type Store, toBytes, toText } from '../../kvstore/index.ts';
import {
  type CopyReportRecord,
  copierAliveKey,
  copyReportKey,
  copyReportsPrefix,
  encodeCopyReport,
  encodeTime,
} from '../wire/index.ts';
import type { CacheStep, CacheWriter } from './cache-writer.ts';
import { isWell, lastingFailureOf } from './cluster-status.ts';
import type { ConfigConflict } from './config-conflicts.ts';
import type { MirroredCluster } from './mirrored-cluster.ts';

export interface CopyReportsDeps {
  readonly local: Pick<Store, 'list'>;
  readonly writer: CacheWriter;
  readonly clock: Clock;
  /** Whether the configuration directory was read once. */
  readonly listed: () => boolean;
  readonly clusters: () => readonly MirroredCluster[];
  /** What is wrong with the id of a cluster, by its name. */
  readonly conflicts: () => ReadonlyMap<string, ConfigConflict>;
}

const lookMs = 2_000;
/** Half of what readers wait for a heartbeat, twice: one that is lost on the way is no news. */
const aliveMs = 30_000;
/** Connecting takes its time: what the leader before has said stays until then. */
const patienceMs = 15_000;
const sameTimeMs = 5_000;
const repairMs = 300_000;

/**
 * Tells the own cluster's agents how the remote clusters are doing whose copies they read: the heartbeat that an agent hears
 * there is its own cluster's. A report is written when it changes; that somebody reports at all is said every half minute, behind the
 * reports. None of it has a lease: when nobody reports any more, agents are to see that, and since when.
 */
export class CopyReports {
  readonly #deps: CopyReportsDeps;
  /** What the store holds. */
  readonly #written = new Map<string, { readonly text: string; readonly record?: CopyReportRecord }>();

  constructor(deps: CopyReportsDeps) {
    this.#deps = deps;
  }

  /** Reports until `signal` aborts. @throws {LeadershipLostError} */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, writer } = this.#deps;
    const startedMs = clock.monotonicMs();
    while (!this.#knowsEnough(clock.monotonicMs() - startedMs)) await clock.sleep(lookMs, signal);
    let [lookedMs, saidMs] = [-Infinity, -Infinity];
    for (;;) {
      const now = clock.monotonicMs();
      if (now - lookedMs >= repairMs) {
        await this.#look(signal);
        lookedMs = now;
      }
      await writer.write(this.#changes(), signal);
      if (now - saidMs >= aliveMs) {
        await writer.write([{ key: toBytes(copierAliveKey), value: toBytes(encodeTime(clock.now())) }], signal);
        saidMs = now;
      }
      await clock.sleep(lookMs, signal);
    }
  }

  /** Learns what the store holds: of an earlier leader, and what others have removed or changed. */
  async #look(signal: AbortSignal): Promise<void> {
    const found = new Map<string, string>();
    for await (const { entries } of this.#deps.local.list(copyReportsPrefix, { signal }))
      for (const { key, value } of entries) found.set(toText(key).slice(copyReportsPrefix.length), toText(value));
    for (const name of this.#written.keys()) if (!found.has(name)) this.#written.delete(name);
    for (const [name, text] of found) if (this.#written.get(name)?.text !== text) this.#written.set(name, { text });
  }

  #knowsEnough(waitedMs: number): boolean {
    const { listed, clusters } = this.#deps;
    return listed() && (waitedMs >= patienceMs || clusters().every(({ known }) => known));
  }

  #changes(): CacheStep[] {
    const conflicts = this.#deps.conflicts();
    const steps: CacheStep[] = [];
    const gone = new Set(this.#written.keys());
    for (const cluster of this.#deps.clusters()) {
      const { name } = cluster;
      gone.delete(name);
      const before = this.#written.get(name);
      const record = reportOf(cluster, conflicts.get(name), this.#deps.clock.now(), before?.record);
      const text = encodeCopyReport(record);
      this.#written.set(name, { text, record });
      if (text !== before?.text) steps.push({ key: toBytes(copyReportKey(name)), value: toBytes(text) });
    }
    for (const name of gone) {
      this.#written.delete(name);
      steps.push({ key: toBytes(copyReportsPrefix + name), value: undefined });
    }
    return steps;
  }
}

function reportOf(
  cluster: MirroredCluster,
  conflict: ConfigConflict | undefined,
  now: number,
  before: CopyReportRecord | undefined,
): CopyReportRecord {
  const { name, connected, synced, stale, failures, heartbeatAgeMs } = cluster;
  const well = isWell(cluster, conflict);
  const failure = well ? undefined : (lastingFailureOf(cluster) ?? conflict?.reason);
  const heardMs = well || heartbeatAgeMs === undefined ? undefined : now - heartbeatAgeMs;
  return {
    cluster: name,
    connected,
    synced,
    stale,
    ...(heardMs === undefined ? {} : { lastHeartbeatMs: steady(heardMs, before?.lastHeartbeatMs) }),
    failures: failures.count,
    ...(failures.lastMs === undefined ? {} : { lastFailureMs: failures.lastMs }),
    ...(failure === undefined ? {} : { failure }),
  };
}

/** The same moment, measured again, is the same moment. */
function steady(ms: number, before: number | undefined): number {
  return before !== undefined && Math.abs(ms - before) < sameTimeMs ? before : ms;
}

import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { isAbort } from '../../runtime/tasks/index.ts';
import type { ClusterContent } from './remembered-cluster.ts';
import type { RememberedClusters } from './remembered-clusters.ts';

/** A remote cluster as it is to be remembered. */
export interface Rememberable {
  readonly name: string;
  /** Under which its records are known; undefined while none are. */
  readonly clusterId: number | undefined;
  /** Grows with every record that comes, changes or goes. */
  readonly changes: number;
  /** Everything of it was read once; what was only read in part must not take the place of a whole. */
  readonly known: boolean;
  /** Followed at this moment: what is known is so. */
  readonly current: boolean;
  /** Everything that it told was taken back: there is nothing to remember. */
  readonly withdrawn?: boolean;
  content(): ClusterContent;
}

export interface KeepDeps {
  readonly remembered: Pick<RememberedClusters, 'save' | 'confirm' | 'forget'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether there is nothing more urgent; while it says false, only the end of the following writes. */
  readonly mayWrite?: () => boolean;
}

const lookMs = 2000;
const confirmMs = 60_000;
/** What takes long, waiting for other clusters' files included, is done seldom: a fortieth of the time goes into it. */
const restFactor = 40;
const longestRestMs = 240_000;

/**
 * Keeps what is remembered of one cluster in step with what is known of it, until `signal` aborts; then once more. Looks
 * every two seconds and writes when something changed. What cannot be written is tried again, and changes nothing else.
 */
export async function keepRemembered(cluster: Rememberable, deps: KeepDeps, signal: AbortSignal): Promise<void> {
  const keeper = new Keeper(cluster, deps);
  try {
    for (let pauseMs = lookMs; ; pauseMs = await keeper.look()) await deps.clock.sleep(pauseMs, signal);
  } catch (error) {
    if (!isAbort(error, signal)) throw error;
  }
  await keeper.look({ last: true });
}

class Keeper {
  readonly #cluster: Rememberable;
  readonly #deps: KeepDeps;
  #saved: number | undefined;
  /** Of what lies on the disk. */
  #id: number | undefined;
  #forgotten = false;
  #trueAtMs = 0;
  #failures = 0;

  constructor(cluster: Rememberable, deps: KeepDeps) {
    this.#cluster = cluster;
    this.#deps = deps;
    this.#id = cluster.clusterId;
  }

  /** Returns the pause until the next look. */
  async look({ last = false } = {}): Promise<number> {
    const { name, clusterId, known, current } = this.#cluster;
    const { remembered, clock, log, mayWrite = () => true } = this.#deps;
    const started = clock.monotonicMs();
    try {
      if (clusterId !== undefined && this.#id !== clusterId) {
        if (this.#id !== undefined) await remembered.forget(name);
        this.#id = clusterId;
        this.#saved = undefined;
      }
      if (this.#cluster.withdrawn && !this.#forgotten) await remembered.forget(name);
      this.#forgotten = this.#cluster.withdrawn === true;
      if (known && this.#saved !== this.#cluster.changes) {
        if (last || mayWrite()) await this.#save();
      } else if (known && current && started - this.#trueAtMs >= confirmMs) await this.#confirm();
      this.#failures = 0;
    } catch (error) {
      if (this.#failures++ === 0)
        log.warn('Cannot write down what is known of a remote cluster', {
          [fields.cluster]: name,
          [fields.error]: error,
          [fields.hint]: 'An agent that restarts while that cluster is unreachable will not know it',
        });
    }
    const tookMs = clock.monotonicMs() - started;
    return Math.max(lookMs, Math.min(longestRestMs, tookMs * restFactor), this.#failures > 0 ? confirmMs / 2 : 0);
  }

  async #save(): Promise<void> {
    let changes = 0;
    await this.#deps.remembered.save(this.#cluster.name, () => {
      changes = this.#cluster.changes;
      return this.#cluster.content();
    });
    this.#saved = changes;
    this.#trueAtMs = this.#deps.clock.monotonicMs();
  }

  async #confirm(): Promise<void> {
    if (!(await this.#deps.remembered.confirm(this.#cluster.name))) this.#saved = undefined;
    this.#trueAtMs = this.#deps.clock.monotonicMs();
  }
}

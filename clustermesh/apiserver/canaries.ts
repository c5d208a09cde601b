import { mayDescribe, type SourceProblem } from '../../kubernetes/index.ts';
import type { Store } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import type { Metrics } from '../../runtime/metrics/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import { encodeTime, ownSyncedPrefix, syncedPrefix } from '../wire/index.ts';
import type { OwnSetGate } from './own-set-gate.ts';
import type { PublishedSet } from './published-sets.ts';
import type { Publisher } from './publisher.ts';
import type { Channels } from './sync-channels.ts';
import { unitOfKey } from './unit-of-key.ts';
import { needs } from './units.ts';
import type { Wake } from './wake.ts';

export interface CanariesOptions {
  readonly clusterName: string;
  readonly sets: readonly PublishedSet[];
  readonly channels: Channels;
  readonly publisher: Publisher;
  readonly gate: OwnSetGate;
  readonly problems: () => readonly SourceProblem[];
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: Metrics;
  /** Notified whenever a set may have become complete. */
  readonly wake: Wake;
}

/** How often a source with problems is asked whether it still has them. */
const problemPollMs = 1_000;
const schedule = exponential({ firstMs: 50, maxMs: 5_000 });

/**
 * Writes the canary of each set once the set was really read, stored, and swept of what an earlier life left; in whatever
 * order that happens, each once a life.
 */
export class Canaries {
  readonly #options: CanariesOptions;
  readonly #written = new Set<string>();
  /** What keeps canaries from being written although their sets are complete, by their keys. */
  readonly #failing = new Map<string, string>();

  constructor(options: CanariesOptions) {
    this.#options = options;
  }

  /** Keys that were written in this life. */
  get written(): ReadonlySet<string> {
    return this.#written;
  }

  /** True once every one is written. */
  get complete(): boolean {
    return this.#written.size === this.#options.sets.length;
  }

  /** Settles once every canary is written, and those of sets that an earlier version exported are gone. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, sets, publisher, wake } = this.#options;
    await using finishing = new TaskGroup(signal);
    const started = new Set<PublishedSet>();
    const held = new Set<PublishedSet>();
    const start = (set: PublishedSet, finish: (running: AbortSignal) => Promise<void>): void =>
      finishing.run((running) => this.#repeated(set.canary, finish, running));
    while (started.size < sets.length) {
      // What was kept for want of knowledge is decided on first: a canary does not speak of the past.
      publisher.reconsider();
      for (const set of sets) {
        if (started.has(set) || !this.#isComplete(set)) continue;
        if (!this.#isDoubtful(set)) {
          started.add(set);
          start(set, (running) => this.#finish(set, running));
        } else if (!held.has(set)) {
          held.add(set);
          start(set, (running) => this.#hold(set, running));
        }
      }
      const dueMs = this.#nextLookMs();
      using _timer = dueMs === undefined ? undefined : clock.timer(dueMs, () => wake.notify());
      if (started.size < sets.length) await wake.next(signal);
    }
    await finishing.wait();
    await this.#repeated(syncedPrefix(this.#options.clusterName), (running) => this.#sweepCanaries(running), signal);
  }

  /** Canaries that could not be written last time, with the reason. */
  get failing(): readonly string[] {
    return [...this.#failing].map(([key, reason]) => `${key}: ${reason}`);
  }

  #repeated(key: string, finish: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    const attempt = async (running: AbortSignal): Promise<void> => {
      await finish(running);
      this.#failing.delete(key);
    };
    return retry(attempt, {
      clock,
      signal,
      schedule,
      onFailure: (error) => {
        this.#failing.set(key, error instanceof Error ? error.message : String(error));
        log.warn('Cannot write a canary, will be repeated', { [fields.key]: key, [fields.error]: error });
      },
    });
  }

  #isComplete({ unit, gated }: PublishedSet): boolean {
    const { publisher, gate } = this.#options;
    if (unit && !publisher.settled(unit)) return false;
    return !gated || (gate.listed && gate.waitingFor().length === 0);
  }

  /** True while something that belongs to the set may be in what the source could not read. */
  #isDoubtful({ unit }: PublishedSet): boolean {
    if (!unit) return false;
    const problems = this.#options.problems();
    return needs[unit].some((kind) => mayDescribe(problems, { kind }));
  }

  /** A source does not say when a problem is over: it is asked. */
  #nextLookMs(): number | undefined {
    const due = this.#options.gate.nextChangeMs();
    return this.#options.problems().length === 0 ? due : Math.min(problemPollMs, due ?? problemPollMs);
  }

  async #finish(set: PublishedSet, signal: AbortSignal): Promise<void> {
    const { clock, clusterName, channels, log, metrics } = this.#options;
    const { canary, scope } = set;
    await this.#sweep(set, signal);
    channels.meta.set(canary, encodeTime(clock.now()));
    await channels.meta.synced(signal);
    this.#written.add(canary);
    const missing = set.gated ? this.#options.gate.silent() : [];
    log.info('A set is complete', { [fields.key]: canary });
    if (missing.length > 0)
      log.warn('A set is complete but for nodes whose agents have not spoken', {
        [fields.key]: canary,
        nodes: missing.join(','),
      });
    metrics
      ?.gauge({
        name: 'kvstore_initial_sync_completed',
        help: 'Whether the first listing of a set has been written',
        labels: ['scope', 'source_cluster', 'action'],
      })
      .set(1, { scope, source_cluster: clusterName, action: 'write' });
  }

  /**
   * The set could not be read completely. What an earlier life left of it goes on under our lease, and so does its canary:
   * that life had read the set. A canary of our own has to wait.
   */
  async #hold(set: PublishedSet, signal: AbortSignal): Promise<void> {
    const { canary } = set;
    const { log, store, channels } = this.#options;
    log.warn('A set is not complete: the source could not be read completely', { [fields.key]: canary });
    await this.#sweep(set, signal);
    const before = await store.get(canary, { signal });
    // Meanwhile it may have been completed.
    if (before && this.#isDoubtful(set) && !this.#written.has(canary))
      channels.meta.set(canary, new Uint8Array(before.value));
  }

  /** Takes away what an earlier life left, and takes over what may not be taken away. Nobody else writes under the prefix. */
  async #sweep(set: PublishedSet, signal: AbortSignal): Promise<void> {
    const { channels, publisher } = this.#options;
    const sync = channels.of.get(set);
    const { prefix = '', unit: kind } = set;
    if (!sync) return;
    await sync.written(signal);
    await sync.sweep(
      prefix,
      (key, { value }) => {
        const unit = kind && unitOfKey(kind, key.slice(prefix.length), value);
        if (!unit || !publisher.isUncertain(unit)) return true;
        publisher.keep(unit, { key, value: new Uint8Array(value) });
        return false;
      },
      signal,
    );
    await sync.written(signal);
  }

  /** Canaries of sets that an earlier version exported would promise what nobody keeps up. */
  async #sweepCanaries(signal: AbortSignal): Promise<void> {
    const { clusterName, channels } = this.#options;
    await channels.meta.sweep(syncedPrefix(clusterName), () => true, signal);
    await channels.meta.sweep(ownSyncedPrefix, () => true, signal);
  }
}

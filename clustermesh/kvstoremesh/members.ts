import { type Logger, fields } from '../../runtime/log/index.ts';
import { Condition, isAbort, linkedController } from '../../runtime/tasks/index.ts';
import type { PeerConfig } from '../peers/index.ts';
import { callOffDrain, drainCluster } from './drain.ts';
import { LeadershipLostError } from './errors.ts';
import { MirroredCluster, type MirroredClusterDeps, type MirroredClusterOptions } from './mirrored-cluster.ts';
import type { DrainStatus } from './status.ts';

export interface MemberDeps extends MirroredClusterDeps {
  readonly options: Omit<MirroredClusterOptions, 'name'>;
  /** Leaves what was copied when the cluster is no longer configured. */
  readonly keepCopies: boolean;
}

/**
 * One name of the configuration directory, over all it goes through: configured, configured otherwise, removed, configured
 * again. One thing at a time; of what was wished meanwhile the last counts.
 */
export class Member {
  readonly name: string;
  readonly #deps: MemberDeps;
  readonly #log: Logger;
  readonly #change = new Condition();
  #wanted: PeerConfig | undefined;
  #cluster: MirroredCluster | undefined;
  #drain: DrainStatus | undefined;

  constructor(name: string, wanted: PeerConfig | undefined, deps: MemberDeps) {
    this.name = name;
    this.#wanted = wanted;
    this.#deps = deps;
    this.#log = deps.log.child({ [fields.cluster]: name });
  }

  /** Absent while nothing is copied of it. */
  get cluster(): MirroredCluster | undefined {
    return this.#cluster;
  }

  get drain(): DrainStatus | undefined {
    return this.#drain;
  }

  get wanted(): boolean {
    return this.#wanted !== undefined;
  }

  want(config: PeerConfig | undefined): void {
    this.#wanted = config;
    this.#change.notify();
  }

  /** Runs until nothing is wanted and nothing is left, or `signal` aborts. @throws {LeadershipLostError} */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const config = this.#wanted;
      if (config) await this.#copy(config, signal);
      else {
        this.#cluster = undefined;
        if (this.#deps.keepCopies) return;
        await this.#remove(signal);
        if (!this.#wanted) return;
      }
      signal.throwIfAborted();
    }
  }

  async #copy(config: PeerConfig, signal: AbortSignal): Promise<void> {
    this.#cluster ??= new MirroredCluster({ name: this.name, ...this.#deps.options }, this.#deps);
    const cluster = this.#cluster;
    this.#deps.onChange();
    await this.#whileWanted(config, (running) => cluster.run(config, running), signal);
  }

  async #remove(signal: AbortSignal): Promise<void> {
    const state = { removing: false };
    this.#drain = { name: this.name, phase: 'waiting' };
    this.#deps.onChange();
    const onRemoving = (): void => {
      state.removing = true;
      this.#drain = { name: this.name, phase: 'removing' };
      this.#deps.onChange();
    };
    try {
      const isBack = (): boolean => this.#wanted !== undefined && !state.removing;
      const draining = (running: AbortSignal): Promise<void> =>
        drainCluster(this.name, { ...this.#deps, onRemoving }, running);
      await this.#until(isBack, draining, signal);
      if (isBack()) await callOffDrain(this.name, this.#deps.writer, signal);
      this.#drain = undefined;
    } catch (error) {
      if (isAbort(error, signal) || error instanceof LeadershipLostError) throw error;
      this.#log.error('Removing the copies of a remote cluster was given up', { [fields.error]: error });
      this.#drain = {
        name: this.name,
        phase: 'failed',
        failure: error instanceof Error ? error.message : String(error),
      };
      await this.#change.until(() => this.#wanted !== undefined, signal);
      this.#drain = undefined;
    } finally {
      this.#deps.onChange();
    }
  }

  /** Runs a task as long as this configuration, byte for byte, is the wanted one. */
  async #whileWanted(
    config: PeerConfig,
    task: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#until(() => this.#wanted?.hash !== config.hash, task, signal);
  }

  async #until(over: () => boolean, task: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    using running = linkedController(signal);
    using watching = linkedController(signal);
    const end = this.#change.until(over, watching.signal).then(
      () => running.abort(new DOMException('Something else is wanted of the remote cluster', 'AbortError')),
      () => undefined,
    );
    try {
      await task(running.signal);
    } catch (error) {
      if (signal.aborted || !isAbort(error, running.signal)) throw error;
    } finally {
      watching.abort();
      await end;
    }
  }
}

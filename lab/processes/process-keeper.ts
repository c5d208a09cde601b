import type { Clock } from '../../runtime/clock/index.ts';
import type { Logger } from '../../runtime/log/index.ts';
import { type ChildExit, type ChildOptions, type LabProcess, startChild } from './child-process.ts';

/** A child that ended by itself is started again after this long, times the number of its restarts. */
const restartDelayMs = 300;
const maxRestartDelayMs = 5000;

export interface ProcessKeeperOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Told whenever the set of running processes has changed, before anything else happens. */
  readonly onChange: () => void;
}

/** @see ProcessKeeper.keepRunning */
export type KeepRunning = (options: ChildOptions, onStart?: (process: LabProcess) => void) => void;

/** The processes of a lab; they are started again when they end, as a node's service manager would. */
export class ProcessKeeper {
  readonly #options: ProcessKeeperOptions;
  readonly #children = new Map<string, LabProcess>();
  readonly #restarts = new Map<string, number>();
  readonly #retired = new WeakSet<LabProcess>();
  #stopping = false;

  constructor(options: ProcessKeeperOptions) {
    this.#options = options;
  }

  /** Processes by role, and how often each was started again. */
  list(): readonly { readonly process: LabProcess; readonly restarts: number }[] {
    return [...this.#children.values()].map((process) => ({
      process,
      restarts: this.#restarts.get(process.role) ?? 0,
    }));
  }

  /** Starts a process, and again whenever it ends. `onStart` is told of every life, as soon as it is on record. */
  readonly keepRunning: KeepRunning = (options, onStart) => {
    const child = startChild(options);
    this.#children.set(child.role, child);
    this.#options.onChange();
    onStart?.(child);
    void child.exited.then((exit) => (this.#retired.has(child) ? undefined : this.#restart(options, onStart, exit)));
  };

  /** Ends a process in an orderly way, and does not start it again. Settles when it is gone. */
  async retire(role: string): Promise<void> {
    const child = this.#children.get(role);
    if (!child) return;
    this.#retired.add(child);
    await child.stop();
    if (this.#children.get(role) === child) this.#children.delete(role);
    this.#options.onChange();
  }

  /** What the logs of processes say that ended or had to be started again. */
  failures(): string {
    return this.list()
      .filter(({ process, restarts }) => process.ended || restarts > 0)
      .map(({ process }) => `${process.role} ended:\n${process.logTail()}`)
      .join('\n');
  }

  /** Ends every process and starts none again. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#children.values()].map((child) => child.stop()));
  }

  async #restart(
    options: ChildOptions,
    onStart: ((process: LabProcess) => void) | undefined,
    exit: ChildExit,
  ): Promise<void> {
    if (this.#stopping) return;
    const restarts = (this.#restarts.get(options.role) ?? 0) + 1;
    this.#restarts.set(options.role, restarts);
    this.#options.log.warn('A process of the lab ended and is started again', {
      role: options.role,
      ...exit,
      restarts,
    });
    await this.#options.clock.sleep(Math.min(maxRestartDelayMs, restartDelayMs * restarts));
    if (!this.#stopping) this.keepRunning(options, onStart);
  }
}

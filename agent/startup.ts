import type { Clock } from '../runtime/clock/index.ts';
import { type Logger, fields } from '../runtime/log/index.ts';
import { type Condition, linkedController } from '../runtime/tasks/index.ts';
import type { ReconcileLoop } from './reconcile/index.ts';

export interface StartupDeps {
  readonly loop: Pick<ReconcileLoop, 'audit' | 'prune'>;
  /** Notified whenever one of the questions below may have another answer. */
  readonly changed: Condition;
  /** True once the own cluster's sets were listed. */
  readonly localListed: () => boolean;
  /** Nothing is missing. */
  readonly known: () => boolean;
  /** What is missing before everything is known. */
  readonly waitingFor: () => readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly syncTimeoutMs: number;
}

/** An agent that takes over a running node waits this long for remote clusters before its first comparison. */
const graceMs = 5000;
/** Records may follow the mark of their set by a moment. */
const settleMs = 1000;
const retryMs = 1000;

/**
 * The order in which an agent begins to act. On a fresh node everything is written as it becomes known. On a node that an
 * earlier life has left running, nothing is touched until a first picture is there, and global services are left alone
 * until the other clusters were read (or the time for that is over): what the kernel holds serves meanwhile. Nothing is
 * removed before everything was read, however long that takes.
 */
export class Startup {
  readonly #fresh: boolean;
  readonly #deps: StartupDeps;
  #acting: boolean;
  #settled = false;
  #ready = false;

  constructor(fresh: boolean, deps: StartupDeps) {
    this.#fresh = fresh;
    this.#acting = fresh;
    this.#deps = deps;
  }

  /** Whether knowledge of the mesh may be turned into kernel state yet. */
  get acting(): boolean {
    return this.#acting;
  }

  /** Whether services with backends in other clusters may be written yet. */
  get globalServices(): boolean {
    return this.#fresh || this.#settled;
  }

  /** The first full pass is done. */
  get ready(): boolean {
    return this.#ready;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { changed, localListed, known, waitingFor, loop, clock, log, syncTimeoutMs } = this.#deps;
    const started = clock.monotonicMs();
    if (!this.#fresh) {
      await changed.until(localListed, signal);
      if (!(await this.#within(graceMs, known, signal))) {
        this.#acting = true;
        await this.#audit(signal);
      }
    }
    const inTime = await this.#within(Math.max(0, syncTimeoutMs - (clock.monotonicMs() - started)), known, signal);
    if (!inTime)
      log.warn('Going on with what is known: not everything could be read in time', {
        waitingFor: waitingFor(),
        [fields.hint]: 'Nothing is removed from the kernel until it was read',
      });
    this.#acting = true;
    this.#settled = true;
    await changed.until(localListed, signal);
    await this.#audit(signal);
    this.#ready = true;
    log.info('The agent is ready', { afterMs: Math.round(clock.monotonicMs() - started) });
    await changed.until(known, signal);
    await clock.sleep(settleMs, signal);
    await this.#repeat(() => loop.prune(), signal);
  }

  #audit(signal: AbortSignal): Promise<void> {
    return this.#repeat(() => this.#deps.loop.audit(), signal);
  }

  /** The loop reports and repeats its own failures; here it only matters when it has got through. */
  async #repeat(pass: () => Promise<void>, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await pass();
        return;
      } catch {
        await this.#deps.clock.sleep(retryMs, signal);
      }
    }
  }

  /** True when `holds` became true in time. */
  async #within(ms: number, holds: () => boolean, signal: AbortSignal): Promise<boolean> {
    if (holds()) return true;
    using limit = linkedController(signal);
    using _timer = this.#deps.clock.timer(ms, () => limit.abort(new DOMException('Time is over', 'TimeoutError')));
    try {
      await this.#deps.changed.until(holds, limit.signal);
      return true;
    } catch (error) {
      if (signal.aborted) throw error;
      return false;
    }
  }
}

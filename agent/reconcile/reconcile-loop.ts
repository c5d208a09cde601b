import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import type { TableReconciler } from './table-reconciler.ts';

type AnyTable = Pick<TableReconciler<never>, 'name' | 'reconcile' | 'audit' | 'status' | 'retryInMs'>;

/** Something small that is compared as a whole each time it may have changed: the routes. */
export interface WholeReconciler {
  readonly name: string;
  readonly due: boolean;
  reconcile(options: { readonly prune: boolean; readonly force: boolean }): Promise<void>;
  readonly retryInMs: number | undefined;
}

export interface ReconcileLoopOptions {
  /** In the order in which they are written: what others rely on comes first. */
  readonly tables: readonly AnyTable[];
  readonly whole: readonly WholeReconciler[];
  /** Turns what changed into marks; called before each pass. */
  readonly collect: () => void;
  /** A full comparison, every so often, that repairs what others changed. */
  readonly auditMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What one pass of the loop should do beyond looking at marks. */
type Wanted = 'marks' | 'audit' | 'prune';

/**
 * The one task that writes to the kernel: waits until something may have changed, then brings every table up to date.
 * Passes never overlap. Pruning begins when it is allowed and is allowed ever after.
 */
export class ReconcileLoop {
  readonly #options: ReconcileLoopOptions;
  #wanted: Wanted | undefined;
  #ring: (() => void) | undefined;
  #pruning = false;
  #nextAuditMs: number;
  #waiting: Array<{ readonly resolve: () => void; readonly reject: (error: Error) => void }> = [];
  #passes = 0;

  constructor(options: ReconcileLoopOptions) {
    this.#options = options;
    this.#nextAuditMs = options.clock.monotonicMs() + options.auditMs;
  }

  get passes(): number {
    return this.#passes;
  }

  get pruning(): boolean {
    return this.#pruning;
  }

  wake(): void {
    this.#want('marks');
  }

  /** Compares everything, without removing what nobody desires unless pruning has begun. Settles when that is done. */
  audit(): Promise<void> {
    this.#want('audit');
    return this.settled();
  }

  /** From now on audits may remove; the first one follows at once. */
  prune(): Promise<void> {
    this.#pruning = true;
    this.#want('prune');
    return this.settled();
  }

  /** Settles after the next pass that begins from now. @throws when that pass could not write a table. */
  settled(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ resolve, reject });
    this.#want('marks');
    return promise;
  }

  async run(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#ring?.();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        await this.#wait(signal);
        if (signal.aborted) break;
        await this.#pass();
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('The agent is stopping'));
    }
  }

  async #pass(): Promise<void> {
    const { tables, whole, collect, clock, auditMs, log } = this.#options;
    const due = clock.monotonicMs() >= this.#nextAuditMs;
    const wanted = due && this.#wanted !== 'prune' ? 'audit' : this.#wanted;
    const waiting = this.#waiting.splice(0);
    this.#wanted = undefined;
    const prune = this.#pruning;
    try {
      collect();
      const full = wanted === 'audit' || wanted === 'prune';
      if (full) this.#nextAuditMs = clock.monotonicMs() + auditMs;
      for (const part of whole) if (full || part.due) await part.reconcile({ prune, force: full });
      for (const table of tables) await (full ? table.audit({ prune }) : table.reconcile({ prune }));
    } catch (error) {
      // Tables keep their own failures; what comes here is a mistake of ours, and must not end the loop silently.
      log.error('A pass over the datapath broke off', { [fields.error]: error });
      for (const { reject } of waiting) reject(error instanceof Error ? error : new Error(String(error)));
      return;
    } finally {
      this.#passes++;
    }
    const failed = tables.map((table) => table.status()).find(({ error }) => error !== undefined);
    for (const { resolve, reject } of waiting)
      if (failed) reject(new Error(`Cannot write ${failed.name}: ${failed.error}`));
      else resolve();
  }

  #want(wanted: Wanted): void {
    const order: readonly (Wanted | undefined)[] = [undefined, 'marks', 'audit', 'prune'];
    if (order.indexOf(wanted) > order.indexOf(this.#wanted)) this.#wanted = wanted;
    this.#ring?.();
  }

  /** Until something is wanted, a failed write is to be repeated, or an audit is due. */
  async #wait(signal: AbortSignal): Promise<void> {
    const { tables, whole, clock } = this.#options;
    if (this.#wanted !== undefined || signal.aborted) return;
    const retries = [...tables, ...whole].map(({ retryInMs }) => retryInMs).filter((ms) => ms !== undefined);
    const ms = Math.min(...retries, Math.max(0, this.#nextAuditMs - clock.monotonicMs()));
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer[Symbol.dispose]();
        this.#ring = undefined;
        resolve();
      };
      const timer = clock.timer(ms, done);
      this.#ring = done;
    });
  }
}

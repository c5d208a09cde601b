import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential } from '../../runtime/retry/index.ts';
import type { AuditResult, TableDriver } from '../../datapath/index.ts';
import type { TableSource } from './table-source.ts';

export interface TableReconcilerOptions<E> {
  readonly name: string;
  readonly driver: TableDriver<E>;
  readonly source: TableSource<E>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random?: () => number;
}

/** What people may ask of a table. */
export interface TableStatus {
  readonly name: string;
  /** Marks that wait to be looked at. */
  readonly pending: number;
  /** Entries written and removed on a change, since the start. */
  readonly upserts: number;
  readonly removes: number;
  readonly audits: number;
  readonly lastAudit?: AuditResult & { readonly at: string; readonly pruned: boolean };
  /** Of the last failure, while it is not repaired. */
  readonly error?: string;
}

const batch = 4096;
const backoff = exponential({ firstMs: 200, maxMs: 30_000 });

/**
 * Keeps one table of the datapath as its source says. A change costs what it changes: marks are looked at, in batches, and
 * their entries written. A failed write keeps its marks and is repeated after a pause; an audit reads the whole table and
 * repairs what differs, whoever changed it.
 */
export class TableReconciler<E> {
  readonly name: string;
  readonly #options: TableReconcilerOptions<E>;
  #marks = new Set<string>();
  #auditDue = false;
  #upserts = 0;
  #removes = 0;
  #audits = 0;
  #lastAudit: TableStatus['lastAudit'];
  #failures = 0;
  #error: unknown;
  #retryAtMs = 0;

  constructor(options: TableReconcilerOptions<E>) {
    this.name = options.name;
    this.#options = options;
  }

  mark(name: string): void {
    this.#marks.add(name);
  }

  /** Asks for an audit at the next {@link reconcile}: too much has changed to say what. */
  markAll(): void {
    this.#auditDue = true;
  }

  /** Milliseconds until a failed write should be repeated; undefined when nothing failed. */
  get retryInMs(): number | undefined {
    if (this.#failures === 0) return undefined;
    return Math.max(0, this.#retryAtMs - this.#options.clock.monotonicMs());
  }

  /**
   * Applies what is marked; does nothing while a failure waits for its repetition. `prune` allows an audit to remove what
   * nobody desires.
   */
  async reconcile(options: { readonly prune: boolean }): Promise<void> {
    if ((this.retryInMs ?? 0) > 0) return;
    if (this.#auditDue) {
      await this.audit(options);
      return;
    }
    const later: string[] = [];
    while (this.#marks.size > 0) {
      const marks = take(this.#marks, batch);
      if (!(await this.#applyMarks(marks, later))) break;
    }
    for (const name of later) this.#marks.add(name);
  }

  /** Compares the whole table with what it should hold. False when it failed; it is then repeated like any write. */
  async audit({ prune }: { readonly prune: boolean }): Promise<boolean> {
    const { driver, source, clock, log } = this.#options;
    const marks = this.#marks;
    this.#marks = new Set();
    this.#auditDue = false;
    try {
      const result = await driver.audit(source.all(), { prune });
      this.#audits++;
      this.#lastAudit = { ...result, at: new Date(clock.now()).toISOString(), pruned: prune };
      this.#succeeded();
      for (const name of source.plan([...marks]).later) this.#marks.add(name);
      if (result.written + result.removed > 0)
        log.info('Audit changed a table of the datapath', { table: this.name, ...result });
      return true;
    } catch (error) {
      for (const name of marks) this.#marks.add(name);
      this.#auditDue = true;
      this.#failed(error);
      return false;
    }
  }

  status(): TableStatus {
    const error = this.#error;
    return {
      name: this.name,
      pending: this.#marks.size,
      upserts: this.#upserts,
      removes: this.#removes,
      audits: this.#audits,
      ...(this.#lastAudit ? { lastAudit: this.#lastAudit } : {}),
      ...(this.#failures === 0 ? {} : { error: error instanceof Error ? error.message : 'unknown' }),
    };
  }

  async #applyMarks(marks: readonly string[], later: string[]): Promise<boolean> {
    try {
      const plan = this.#options.source.plan(marks);
      later.push(...plan.later);
      if (plan.upsert.length + plan.remove.length > 0) await this.#options.driver.apply(plan);
      this.#upserts += plan.upsert.length;
      this.#removes += plan.remove.length;
      this.#succeeded();
      return true;
    } catch (error) {
      for (const name of marks) this.#marks.add(name);
      this.#failed(error);
      return false;
    }
  }

  #succeeded(): void {
    if (this.#failures > 0)
      this.#options.log.info('A table of the datapath can be written again', { table: this.name });
    this.#failures = 0;
    this.#error = undefined;
  }

  #failed(error: unknown): void {
    const { clock, log, random = Math.random } = this.#options;
    this.#failures++;
    this.#error = error;
    const delayMs = backoff(this.#failures, random());
    this.#retryAtMs = clock.monotonicMs() + delayMs;
    log.warn('Cannot write a table of the datapath', {
      table: this.name,
      [fields.error]: error,
      [fields.attempt]: this.#failures,
      [fields.delayMs]: Math.round(delayMs),
    });
  }
}

function take(marks: Set<string>, max: number): string[] {
  const taken: string[] = [];
  for (const name of marks) {
    if (taken.length >= max) break;
    taken.push(name);
    marks.delete(name);
  }
  return taken;
}

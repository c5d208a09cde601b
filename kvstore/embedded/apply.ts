import type { Clock, Timer } from '../../runtime/clock/index.ts';
import { type Change, engineErrors } from '../engine/index.ts';
import type { Writer } from './group-commit.ts';
import { Overlay } from './overlay.ts';
import { type StoredRow } from './row-codec.ts';
import { metaKeys, revisionBytes } from './meta.ts';
import type { Table, TableWrite, Tables } from './table-types.ts';

/** Durable writes wait this long for others: a page that many of them change is written once. */
const delayMs = 20;
/** After a failure. */
const retryMs = 1000;

/** Durable writes that go to the tables together, and what they say until then. */
export class Batch {
  readonly overlay = new Overlay();
  /** Of a key that is written again only the last write counts; rows of the log are written once. */
  readonly #rows: TableWrite[] = [];
  readonly #last = new Map<Table, Map<string, TableWrite>>();
  bytes = 0;
  /** Number of the last record in it; 0 when there is none. */
  record = 0;

  add(log: Table, writes: readonly TableWrite[]): void {
    for (const write of writes) {
      this.bytes += write.key.length + (write.value?.length ?? 0);
      if (write.table === log) this.#rows.push(write);
      else this.of(write.table).set(write.key.toString('latin1'), write);
    }
  }

  of(table: Table): Map<string, TableWrite> {
    let last = this.#last.get(table);
    if (!last) this.#last.set(table, (last = new Map()));
    return last;
  }

  writes(): TableWrite[] {
    return [...this.#rows, ...[...this.#last.values()].flatMap((last) => [...last.values()])];
  }
}

export interface ApplierOptions {
  readonly tables: Pick<Tables, 'log' | 'meta'>;
  readonly clock: Clock;
  /** Puts a batch into the tables, on disk, as one. */
  readonly write: Writer;
  /** The tables have all records up to this one. Called after the tables were written and before the batch is forgotten. */
  readonly applied: (record: number) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Takes what is durable already to the tables, some milliseconds of writes at a time. Until a batch is there its rows are
 * read from `overlays`. A batch that fails is tried again: nothing in it is lost, the log has it.
 */
export class Applier {
  readonly #options: ApplierOptions;
  #gathering = new Batch();
  #applying: Batch | undefined;
  #running: Promise<void> | undefined;
  #timer: Timer | undefined;
  #halted = false;

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  /** Rows that the tables do not have yet, newest first. A reader may keep them: a batch does not lose rows. */
  get overlays(): readonly Overlay[] {
    return this.#applying ? [this.#gathering.overlay, this.#applying.overlay] : [this.#gathering.overlay];
  }

  get bytes(): number {
    return this.#gathering.bytes + (this.#applying?.bytes ?? 0);
  }

  add(writes: readonly TableWrite[], changes: readonly Change[], record: number): void {
    const batch = this.#gathering;
    batch.add(this.#options.tables.log, writes);
    // Whatever is appended was encoded by the backend.
    for (const { row } of changes) batch.overlay.add(row as StoredRow);
    if (record > 0) batch.record = record;
    this.#schedule(delayMs);
  }

  /** The last write of each key of `table` that the table does not have yet, oldest batch first. */
  *unapplied(table: Table): Generator<TableWrite, void, void> {
    if (this.#applying) yield* this.#applying.of(table).values();
    yield* this.#gathering.of(table).values();
  }

  /** Settles when the tables have everything that was added so far. Rejects when they cannot take it now. */
  async drained(): Promise<void> {
    const wanted = this.#gathering;
    while (this.#applying === wanted || (this.#gathering === wanted && (wanted.bytes > 0 || this.#applying)))
      await this.#run();
  }

  stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  /** Nothing goes to the tables any more; what is on its way is waited for. What is not there stays in the log, and is read from here. */
  async halt(): Promise<void> {
    this.#halted = true;
    this.stop();
    await this.#running?.catch(() => undefined);
  }

  #schedule(ms: number): void {
    if (this.#timer || this.#running || this.#halted) return;
    this.#timer = this.#options.clock.timer(ms, () => {
      this.#timer = undefined;
      // Failures are told to `failed`.
      this.#run().catch(() => undefined);
    });
  }

  #run(): Promise<void> {
    this.#running ??= this.#apply().finally(() => {
      this.#running = undefined;
      if (this.#applying) this.#schedule(retryMs);
      else if (this.#gathering.bytes > 0) this.#schedule(delayMs);
    });
    return this.#running;
  }

  async #apply(): Promise<void> {
    if (this.#halted) throw engineErrors.stopped();
    if (!this.#applying) {
      if (this.#gathering.bytes === 0) return;
      this.#applying = this.#gathering;
      this.#gathering = new Batch();
    }
    const { record } = this.#applying;
    const { tables, write } = this.#options;
    const mark = record > 0 ? [{ table: tables.meta, key: metaKeys.applied, value: revisionBytes(record) }] : [];
    try {
      await write([...this.#applying.writes(), ...mark]);
    } catch (error) {
      this.#options.failed(error);
      throw error;
    }
    this.#options.applied(record);
    this.#applying = undefined;
  }
}

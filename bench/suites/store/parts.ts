import { etcdVersion } from '../../../test/support/etcd.ts';
import { keepRuns } from '../../raw-runs.ts';
import { type RowSpec, type SuiteContext, median } from '../../suite.ts';

/** A part of the suite: its rows, and how they are measured. */
export interface Part {
  readonly rows: readonly RowSpec[];
  measure(bench: StoreBench): Promise<void>;
}

/** The context of the suite, with all single runs kept for `bench/raw/store.json`. */
export class StoreBench {
  readonly context: SuiteContext;
  readonly #runs: Record<string, unknown> = {};

  constructor(context: SuiteContext) {
    this.context = context;
  }

  note(line: string): void {
    this.context.note(line);
  }

  wanted(...names: readonly string[]): boolean {
    return this.context.wanted(...names);
  }

  keep(name: string, runs: unknown): void {
    this.#runs[name] = runs;
  }

  record(name: string, value: number, against?: number): void {
    if (!this.wanted(name)) return;
    this.context.record(name, against === undefined ? { value } : { value, against });
  }

  /** Measures rows that come from the same runs; a failure is theirs only. */
  async rows(names: readonly string[], run: () => Promise<void>): Promise<void> {
    if (!this.wanted(...names)) return;
    this.context.signal.throwIfAborted();
    this.note(names[0] ?? '');
    try {
      await run();
    } catch (error) {
      for (const name of names) if (this.wanted(name)) this.context.fail(name, error);
    }
  }

  async save(): Promise<void> {
    await keepRuns('store', { rival: `etcd ${etcdVersion}` }, this.#runs);
  }
}

/** Runs ours and theirs in turn, so that a busy moment of the machine meets both. */
export async function inTurn<O, T>(
  rounds: number,
  ours: () => Promise<O>,
  theirs: () => Promise<T>,
): Promise<{ readonly ours: readonly O[]; readonly theirs: readonly T[] }> {
  const all: { ours: O[]; theirs: T[] } = { ours: [], theirs: [] };
  for (let round = 0; round < rounds; round++) {
    all.ours.push(await ours());
    all.theirs.push(await theirs());
  }
  return all;
}

export function medianOf<T>(runs: readonly T[], of: (run: T) => number): number {
  return median(runs.map(of));
}

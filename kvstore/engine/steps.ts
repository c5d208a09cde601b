import type { EncodedKeyValue, KeyValue } from '../contract/index.ts';

/**
 * Work in pieces: it yields wherever others may have their turn, and says how many rows, about, it has looked at since it
 * last did. Only as good as what it works on stays the same meanwhile.
 */
export type Steps<T> = Generator<number, T, void>;

/** Rows between two places where a long piece of work may make way for others. */
export const stepRows = 512;

/** A row is copied whole when it is looked at: a large one costs as much as many. */
const bytesOfRow = 4096;
/** Looking for a row in the history of its key costs more than going on to the next one. */
const rowsOfMiss = 8;

/** Counts what a walk has looked at. */
export class Pace {
  #rows = 0;

  /** Whether it is time for a step. */
  looked(row: { readonly kv: KeyValue } | undefined): boolean {
    this.#rows += row ? rowsOf(row) : rowsOfMiss;
    return this.#rows >= stepRows;
  }

  /** Rows since the last step. */
  step(): number {
    const rows = this.#rows;
    this.#rows = 0;
    return rows;
  }
}

/** As how many a row counts. */
export function rowsOf(row: { readonly kv: KeyValue } | undefined): number {
  return row ? 1 + Math.floor(bytesOf(row.kv) / bytesOfRow) : 1;
}

/** Bytes that are kept as long as an answer with the key-value is. */
export function bytesOf(kv: KeyValue | EncodedKeyValue): number {
  return 'messageLength' in kv ? kv.messageLength : kv.key.length + kv.value.length;
}

/** Does all of it now. @param looked told of the rows as they are looked at; may throw to end the work */
export function atOnce<T>(steps: Steps<T>, looked?: (rows: number) => void): T {
  try {
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
      looked?.(step.value);
    }
  } finally {
    steps.return(undefined as T);
  }
}

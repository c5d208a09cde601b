import { type Change, SortedTexts, type Span, keyText } from '../engine/index.ts';
import type { RowId, StoredRow } from './row-codec.ts';

/**
 * Rows that the tables do not have yet: the newest of each key, and all of them by their place in the log. One holds what
 * is not on disk, which later writes build on but no reader sees; others hold what the write-ahead log has.
 */
export class Overlay {
  readonly #newest = new Map<string, StoredRow>();
  readonly #log = new Map<number, StoredRow[]>();
  /** Keys in order, for those who read ranges; until somebody does, they are only gathered. */
  readonly #sorted = new SortedTexts();
  readonly #unsorted = new Set<string>();

  /** The newest row of the key, a deletion included. */
  newest(text: string): StoredRow | undefined {
    return this.#newest.get(text);
  }

  row(id: RowId): StoredRow | undefined {
    return this.#log.get(id.revision)?.[id.sub];
  }

  get size(): number {
    return this.#newest.size;
  }

  /** Newest rows of the keys in `span` by {@link keyText}, in order. Not to be added to meanwhile. */
  *within(span: Span): Generator<readonly [text: string, row: StoredRow], void, void> {
    for (const text of this.#unsorted) this.#sorted.add(text);
    this.#unsorted.clear();
    for (const text of this.#sorted.range(keyText(span.start), span.end && keyText(span.end))) {
      const row = this.#newest.get(text);
      if (row) yield [text, row];
    }
  }

  /** All rows from `revision` on, of that one from place `sub` on, in order of revision and place. */
  *log(revision: number, sub: number): Generator<StoredRow, void, void> {
    // Revisions come in order, and a map keeps it.
    for (const [one, rows] of this.#log)
      if (one > revision) yield* rows;
      else if (one === revision) for (let at = sub; at < rows.length; at++) yield rows[at] as StoredRow;
  }

  add(row: StoredRow): void {
    const text = keyText(row.kv.key);
    if (!this.#newest.has(text)) this.#unsorted.add(text);
    this.#newest.set(text, row);
    const rows = this.#log.get(row.kv.modRevision);
    if (rows) rows.push(row);
    else this.#log.set(row.kv.modRevision, [row]);
  }

  /** Forgets what has reached the disk; a key written again since then stays. */
  settle(changes: readonly Change[]): void {
    for (const { row } of changes) {
      const text = keyText(row.kv.key);
      if (this.#newest.get(text) === row) {
        this.#newest.delete(text);
        if (!this.#unsorted.delete(text)) this.#sorted.delete(text);
      }
      this.#log.delete(row.kv.modRevision);
    }
  }

  clear(): void {
    this.#newest.clear();
    this.#sorted.clear();
    this.#unsorted.clear();
    this.#log.clear();
  }
}

/** The newest rows of the keys in `span` over several overlays, the newest of which comes first; in byte order. */
export function newestRows(overlays: readonly Overlay[], span: Span): StoredRow[] {
  const filled = overlays.filter(({ size }) => size > 0);
  const newest = new Map<string, StoredRow>();
  for (const overlay of filled.toReversed()) for (const [text, row] of overlay.within(span)) newest.set(text, row);
  if (filled.length <= 1) return [...newest.values()];
  return [...newest].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

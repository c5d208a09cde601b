import { type Change, type Span, keyText } from '../engine/index.ts';
import type { RowId, StoredRow } from './row-codec.ts';

/**
 * What is written but not yet on disk: the newest row of each such key, and the rows of the log. Later writes build on
 * it; readers and watchers never see it.
 */
export class Overlay {
  readonly #newest = new Map<string, StoredRow>();
  readonly #log = new Map<number, StoredRow[]>();

  /** The newest unwritten row of the key, a deletion included. */
  newest(key: Uint8Array): StoredRow | undefined {
    return this.#newest.size === 0 ? undefined : this.#newest.get(keyText(key));
  }

  row(id: RowId): StoredRow | undefined {
    return this.#log.get(id.revision)?.[id.sub];
  }

  /** Newest rows of the keys in `span`, in byte order. */
  range(span: Span): StoredRow[] {
    const rows: StoredRow[] = [];
    for (const row of this.#newest.values()) if (span.contains(row.kv.key)) rows.push(row);
    return rows.sort((a, b) => Buffer.compare(a.kv.key, b.kv.key));
  }

  add(row: StoredRow): void {
    this.#newest.set(keyText(row.kv.key), row);
    const rows = this.#log.get(row.kv.modRevision);
    if (rows) rows.push(row);
    else this.#log.set(row.kv.modRevision, [row]);
  }

  /** Forgets what has reached the disk; a key written again since then stays. */
  settle(changes: readonly Change[]): void {
    for (const { row } of changes) {
      const text = keyText(row.kv.key);
      if (this.#newest.get(text) === row) this.#newest.delete(text);
      this.#log.delete(row.kv.modRevision);
    }
  }

  clear(): void {
    this.#newest.clear();
    this.#log.clear();
  }
}

import type { Transaction } from 'lmdb';
import { type Span, type View, keyText } from '../engine/index.ts';
import { type Overlay, newestRows } from './overlay.ts';
import { type RowId, type StoredRow, decodeRow, logKey, modRevisionOf, readLogKey } from './row-codec.ts';
import { maxKeyBytes } from './tables.ts';
import type { Table, Tables } from './table-types.ts';

interface ViewState {
  readonly revision: number;
  readonly compactRevision: number;
}

/** The rows that the tables lack, newest overlay first. */
export type Overlays = () => readonly Overlay[];

/**
 * Reads the tables and what they do not have yet: as of one read transaction, or as the next write finds them. An old revision is
 * found from the newest row by walking back along `previous`: short for what a listing under way needs, long for a key
 * that was written very often since.
 */
export class LmdbView implements View {
  readonly #tables: Tables;
  readonly #state: ViewState;
  readonly #overlays: Overlays;
  readonly #options: { readonly transaction?: Transaction };
  #captured: readonly StoredRow[] | undefined;

  /** With a transaction the view is one reader's: it sees the overlays as they are at its first look at a range. */
  constructor(tables: Tables, state: ViewState, overlays: Overlays, transaction?: Transaction) {
    this.#tables = tables;
    this.#state = state;
    this.#overlays = overlays;
    this.#options = transaction ? { transaction } : {};
  }

  get revision(): number {
    return this.#state.revision;
  }

  get compactRevision(): number {
    return this.#state.compactRevision;
  }

  get(key: Uint8Array, revision?: number): StoredRow | undefined {
    if (key.length > maxKeyBytes) return undefined;
    const newest = this.#newest(key);
    if (newest && !newest.deleted && (revision === undefined || newest.kv.modRevision <= revision)) return newest;
    if (revision === undefined) return undefined;
    // A key that is not live now may have been at an older revision.
    const from = newest ?? this.row(this.newestId(key));
    return from && this.#back(from, revision);
  }

  /** Id of the key's newest row, a deletion included. */
  newestId(key: Uint8Array): RowId {
    const newest = this.#newest(key);
    if (newest) return { revision: newest.kv.modRevision, sub: newest.sub };
    const grave = this.#tables.dead.get(asBuffer(key), this.#options);
    return grave ? readLogKey(grave) : { revision: 0, sub: 0 };
  }

  row(id: RowId): StoredRow | undefined {
    for (const overlay of this.#overlays()) {
      const unwritten = overlay.row(id);
      if (unwritten) return unwritten;
    }
    const encoded = id.revision > 0 ? this.#tables.log.get(logKey(id), this.#options) : undefined;
    return encoded && decodeRow(encoded);
  }

  *range(span: Span, revision?: number): Generator<StoredRow, void, void> {
    const over = this.#over(span);
    if (over.length > 0) {
      for (const row of mergeByKey(this.#onDisk(span, revision), over, keyOfRow, keyOfRow)) {
        const at = revision === undefined ? row : this.#back(row, revision);
        if (at && !at.deleted) yield at;
      }
    } else yield* this.#onDisk(span, revision);
  }

  count(span: Span, revision?: number): number {
    if (revision === undefined) return this.#tables.cur.getKeysCount(this.#rangeOptions(span)) + this.difference(span);
    let count = 0;
    for (const _ of this.range(span, revision)) count++;
    return count;
  }

  /** By how many keys of `span` the table has too few. */
  difference(span: Span): number {
    let difference = 0;
    for (const row of this.#over(span)) {
      const onDisk = this.#tables.cur.get(asBuffer(row.kv.key), this.#options) !== undefined;
      difference += (row.deleted ? 0 : 1) - (onDisk ? 1 : 0);
    }
    return difference;
  }

  #newest(key: Uint8Array): StoredRow | undefined {
    let text: string | undefined;
    for (const overlay of this.#overlays()) {
      if (overlay.size === 0) continue;
      const unwritten = overlay.newest((text ??= keyText(key)));
      if (unwritten) return unwritten;
    }
    const encoded = this.#tables.cur.get(asBuffer(key), this.#options);
    return encoded && decodeRow(encoded);
  }

  /** A reader that pauses must not see what is written meanwhile: its transaction does not have that either. */
  #over(span: Span): readonly StoredRow[] {
    if (!this.#options.transaction) return newestRows(this.#overlays(), span);
    return (this.#captured ??= newestRows(this.#overlays(), span));
  }

  /** The live row at `revision`, from a newer one backwards. */
  #back(from: StoredRow, revision: number): StoredRow | undefined {
    let row: StoredRow | undefined = from;
    while (row && row.kv.modRevision > revision) row = this.row(row.previous);
    return row?.deleted ? undefined : row;
  }

  *#onDisk(span: Span, revision: number | undefined): Generator<StoredRow, void, void> {
    if (revision === undefined) {
      const { table, arena } = this.#tables.walk;
      arena.begin();
      for (const { value } of table.getRange(this.#rangeOptions(span))) yield decodeRow(value);
      return;
    }
    const live = this.#tables.cur.getRange(this.#rangeOptions(span));
    const buried = this.#tables.dead.getRange(this.#rangeOptions(span));
    for (const entry of mergeByKey(live, buried, keyOfEntry, keyOfEntry)) {
      if (entry.value.length !== graveBytes && modRevisionOf(entry.value) <= revision) yield decodeRow(entry.value);
      else {
        const newest = entry.value.length === graveBytes ? this.row(readLogKey(entry.value)) : decodeRow(entry.value);
        const row = newest && this.#back(newest, revision);
        if (row) yield row;
      }
    }
  }

  #rangeOptions(span: Span): Parameters<Table['getRange']>[0] & object {
    return {
      ...this.#options,
      start: asBuffer(span.start.subarray(0, maxKeyBytes)),
      // A bound longer than any key can be is cut; what then equals it lies before it.
      ...(span.start.length > maxKeyBytes ? { exclusiveStart: true } : {}),
      ...(span.end ? { end: asBuffer(span.end.subarray(0, maxKeyBytes)) } : {}),
      ...(span.end && span.end.length > maxKeyBytes ? { inclusiveEnd: true } : {}),
    };
  }
}

/** Value of the table `dead`: a log key. Rows are longer. */
const graveBytes = 12;

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function keyOfRow(row: StoredRow): Uint8Array {
  return row.kv.key;
}

function keyOfEntry(entry: { readonly key: Buffer }): Uint8Array {
  return entry.key;
}

/** Two sorted sequences as one; where both have a key, the second one's is taken. */
function* mergeByKey<A, B>(
  first: Iterable<A>,
  second: Iterable<B>,
  keyOfFirst: (item: A) => Uint8Array,
  keyOfSecond: (item: B) => Uint8Array,
): Generator<A | B, void, void> {
  const right = second[Symbol.iterator]();
  let next = right.next();
  try {
    for (const item of first) {
      while (!next.done && Buffer.compare(keyOfSecond(next.value), keyOfFirst(item)) < 0) {
        yield next.value;
        next = right.next();
      }
      if (!next.done && Buffer.compare(keyOfSecond(next.value), keyOfFirst(item)) === 0) continue;
      yield item;
    }
    while (!next.done) {
      yield next.value;
      next = right.next();
    }
  } finally {
    right.return?.();
  }
}

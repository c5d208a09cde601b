import type { Transaction } from 'lmdb';
import { type Span, type Steps, type View, keyText, stepRows } from '../engine/index.ts';
import { type Overlay, newestRows } from './overlay.ts';
import { type RowId, type StoredRow, decodeRow, logKey, readLogKey } from './row-codec.ts';
import { maxKeyBytes } from './tables.ts';
import type { Table, Tables } from './table-types.ts';

interface ViewState {
  readonly revision: number;
  readonly compactRevision: number;
}

/** The rows that the tables lack, newest overlay first. */
export type Overlays = () => readonly Overlay[];

/** Keys that LMDB counts between two places where others may have their turn: it takes about as long as reading {@link stepRows}. */
const countedKeys = 8192;

/**
 * Reads the tables and what they do not have yet: as of one read transaction, or as the next write finds them. An old revision is
 * found from the newest row by walking back along `previous`: short for what a listing under way needs, long for a key
 * that was written very often since.
 *
 * With a transaction nothing changes under its reader, however long it takes: the tables are those of the transaction, and
 * what is added to the overlays meanwhile is younger than the view's revision, so it is walked back over.
 */
export class LmdbView implements View {
  readonly #tables: Tables;
  readonly #state: ViewState;
  readonly #overlays: Overlays;
  readonly #options: { readonly transaction?: Transaction };

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

  get(key: Uint8Array): StoredRow | undefined {
    if (key.length > maxKeyBytes) return undefined;
    const newest = this.#newest(key);
    return newest?.deleted ? undefined : newest;
  }

  *at(key: Uint8Array, revision: number): Steps<StoredRow | undefined> {
    if (key.length > maxKeyBytes) return undefined;
    // A key that is not live now may have been at an older revision.
    let row = this.#newest(key) ?? this.row(this.#graveOf(key));
    let looked = 0;
    for (; row && row.kv.modRevision > revision; row = this.row(row.previous)) if (++looked % 64 === 0) yield stepRows;
    return row?.deleted ? undefined : row;
  }

  /** Id of the key's newest row, a deletion included. */
  newestId(key: Uint8Array): RowId {
    const newest = this.#newest(key);
    return newest ? { revision: newest.kv.modRevision, sub: newest.sub } : this.#graveOf(key);
  }

  row(id: RowId): StoredRow | undefined {
    for (const overlay of this.#overlays()) {
      const unwritten = overlay.row(id);
      if (unwritten) return unwritten;
    }
    const encoded = id.revision > 0 ? this.#tables.log.get(logKey(id), this.#options) : undefined;
    return encoded && decodeRow(encoded);
  }

  *range(span: Span, revision?: number): Generator<StoredRow | undefined, void, void> {
    const over = this.#over(span);
    const onDisk = this.#onDisk(span, revision);
    // Most often so, and then everything is live.
    if (over.length === 0 && revision === undefined) return yield* onDisk;
    yield* this.#live(mergeByKey(onDisk, over, keyOfRow), revision);
  }

  *count(span: Span): Steps<number> {
    let count = 0;
    for (const [i, row] of this.#over(span).entries()) {
      if (i % stepRows === stepRows - 1) yield stepRows;
      const onDisk = this.#tables.cur.get(asBuffer(row.kv.key), this.#options) !== undefined;
      count += (row.deleted ? 0 : 1) - (onDisk ? 1 : 0);
    }
    for (let options = this.#rangeOptions(span); ;) {
      // LMDB's own loop goes on for `offset` keys, and then says where it is.
      const [next] = this.#tables.cur.getKeys({ ...options, offset: countedKeys, limit: 1 });
      if (next === undefined) return count + this.#tables.cur.getKeysCount(options);
      count += countedKeys;
      options = { ...options, start: next, exclusiveStart: false };
      yield stepRows;
    }
  }

  #graveOf(key: Uint8Array): RowId {
    const grave = this.#tables.dead.get(asBuffer(key), this.#options);
    return grave ? readLogKey(grave) : { revision: 0, sub: 0 };
  }

  #newest(key: Uint8Array): StoredRow | undefined {
    let text: string | undefined;
    for (const overlay of this.#overlays()) {
      if (overlay.size === 0) continue;
      const unwritten = overlay.newest((text ??= keyText(key)));
      if (unwritten) return this.#visible(unwritten);
    }
    const encoded = this.#tables.cur.get(asBuffer(key), this.#options);
    return encoded && decodeRow(encoded);
  }

  /** Rows of keys in `span` that the tables may lack, deletions too. */
  #over(span: Span): readonly StoredRow[] {
    const rows = newestRows(this.#overlays(), span);
    if (!this.#options.transaction) return rows;
    return rows.map((row) => this.#visible(row)).filter((row) => row !== undefined);
  }

  /** What the reader of a transaction has of a key: an overlay goes on growing. A deletion is something, too. */
  #visible(newest: StoredRow): StoredRow | undefined {
    let row: StoredRow | undefined = newest;
    if (this.#options.transaction)
      while (row && row.kv.modRevision > this.#state.revision) row = this.row(row.previous);
    return row;
  }

  /** The live rows at `revision`, from newer ones backwards. */
  *#live(newest: Iterable<StoredRow>, revision: number | undefined): Generator<StoredRow | undefined, void, void> {
    const wanted = revision ?? Infinity;
    for (const first of newest) {
      let row: StoredRow | undefined = first;
      for (; row && row.kv.modRevision > wanted; row = this.row(row.previous)) yield undefined;
      yield row?.deleted ? undefined : row;
    }
  }

  /** The newest row of each key: of the live ones, for an older revision also of those that are gone. */
  *#onDisk(span: Span, revision: number | undefined): Generator<StoredRow, void, void> {
    if (revision === undefined) {
      const { table, arena } = this.#tables.walk;
      arena.begin();
      for (const { value } of table.getRange(this.#rangeOptions(span))) yield decodeRow(value);
      return;
    }
    const live = this.#tables.cur.getRange(this.#rangeOptions(span));
    const buried = this.#tables.dead.getRange(this.#rangeOptions(span));
    for (const { value } of mergeByKey(live, buried, keyOfEntry)) {
      const row = value.length === graveBytes ? this.row(readLogKey(value)) : decodeRow(value);
      if (row) yield row;
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
function* mergeByKey<T>(
  first: Iterable<T>,
  second: Iterable<T>,
  keyOf: (item: T) => Uint8Array,
): Generator<T, void, void> {
  const right = second[Symbol.iterator]();
  let next = right.next();
  try {
    for (const item of first) {
      while (!next.done && Buffer.compare(keyOf(next.value), keyOf(item)) < 0) {
        yield next.value;
        next = right.next();
      }
      if (!next.done && Buffer.compare(keyOf(next.value), keyOf(item)) === 0) continue;
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

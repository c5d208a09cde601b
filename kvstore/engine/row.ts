import type { KeyValue } from '../contract/index.ts';
import type { Span } from './span.ts';
import type { Steps } from './steps.ts';

/** One version of one key: what a put or a delete left in the history. */
export interface Row {
  /** For a delete: the key and, as modRevision, the revision of the deletion; the rest is empty. */
  readonly kv: KeyValue;
  readonly deleted: boolean;
  /** Place inside the revision `kv.modRevision`, from 0. */
  readonly sub: number;
  /** Place inside the revision `kv.createRevision`; with it the identity of one life of the key. */
  readonly createSub: number;
}

/** A row as it was written, with the live version that it replaced. */
export interface Change {
  readonly row: Row;
  readonly replaced: Row | undefined;
}

/** What a reader sees: the live keys at a revision that is not compacted. */
export interface View {
  readonly revision: number;
  /** Revisions below it cannot be read; −1 before the first compaction. */
  readonly compactRevision: number;
  /** The newest row, if it is live. */
  get(key: Uint8Array): Row | undefined;
  /** The row that was live at `revision`: as many steps as the key has been written since. */
  at(key: Uint8Array, revision: number): Steps<Row | undefined>;
  /**
   * Live rows in byte order of their keys, and `undefined` for each look at one that is not wanted (a key that was not there
   * at `revision`, a version that is younger), so that who walks knows how far it is.
   */
  range(span: Span, revision?: number): Generator<Row | undefined, void, void>;
  /** How many keys of `span` are live now. */
  count(span: Span): Steps<number>;
}

/** A view that stays as it is until it is disposed of. */
export interface Snapshot extends View, Disposable {
  /** False where later writes show through, so that a reader must finish within its turn. */
  readonly stable: boolean;
}

/** A plain object of its own: what a backend hands out may read its fields from bytes (`EncodedKeyValue`). */
export function plainKeyValue({ key, value, createRevision, modRevision, version, lease }: KeyValue): KeyValue {
  return { key, value, createRevision, modRevision, version, lease };
}

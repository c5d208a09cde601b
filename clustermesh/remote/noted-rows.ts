import { type RowObserver, toText } from '../../kvstore/index.ts';
import type { RemoteKind } from './kinds.ts';
import type { Refusals } from './refusals.ts';

export interface NotedRowsOptions {
  readonly kind: RemoteKind;
  readonly rows: RowObserver;
  readonly refusals: Refusals;
  /** Called with the number of rows that came, were said again, or went. */
  readonly changed: (count: number) => void;
}

/** Rows of a remote cluster whose changes are counted, and whose keys are no longer refused once they have a row. */
export function notedRows({ kind, rows, refusals, changed }: NotedRowsOptions): RowObserver {
  const accepted = (keyBytes: Uint8Array, start: number, end: number): void => {
    changed(1);
    if (refusals.size > 0) refusals.clear(kind, toText(keyBytes.subarray(start, end)));
  };
  const removed = (remove: () => number): number => {
    const refused = refusals.list().filter((refusal) => refusal.kind === kind && rows.has(refusal.key));
    const count = remove();
    for (const { key } of refused) if (!rows.has(key)) refusals.clear(kind, key);
    if (count > 0) changed(count);
    return count;
  };
  return {
    get size() {
      return rows.size;
    },
    put: (keyBytes, keyStart, keyEnd, bytes, start, end) => {
      if (!rows.put(keyBytes, keyStart, keyEnd, bytes, start, end)) return false;
      accepted(keyBytes, keyStart, keyEnd);
      return true;
    },
    delete: (keyBytes, keyStart, keyEnd) => {
      if (!rows.delete(keyBytes, keyStart, keyEnd)) return false;
      accepted(keyBytes, keyStart, keyEnd);
      return true;
    },
    has: (key) => rows.has(key),
    see: (key) => rows.see(key),
    startListing: () => rows.startListing(),
    sweep: () => removed(() => rows.sweep()),
    drain: () => removed(() => rows.drain()),
  };
}

import type { RestartReason } from '../contract/index.ts';

/**
 * Who is told what a prefix holds. Calls come one at a time, in the order of the store. A call that throws is logged and
 * counted; the events after it are delivered all the same.
 */
export interface WatchObserver {
  /** Takes what it can before the others are asked. */
  readonly rows?: RowObserver;
  /**
   * A key has this value now. After a `restart` every key that still exists comes again, changed or not.
   * @param key the part after the prefix
   * @param value belongs to the store again when the call returns: copy what you keep
   */
  upsert(key: string, value: Uint8Array, meta: { readonly revision: number }): void;
  /** A key that was upserted before is gone. Its last value is not repeated: who needs it remembers it. */
  remove(key: string): void;
  /** A listing is complete, and what it lacked has been removed. */
  synced?(): void;
  /** A listing begins; what is known stays valid until the next `synced`. */
  restart?(reason: RestartReason): void;
}

/**
 * Takes keys and values as bytes and keeps rows of them, and with the rows the knowledge which keys there are: what makes a
 * million entries affordable. What it does not take goes the ordinary way, through {@link WatchObserver}, which may make a
 * row of it too; one key never has two.
 */
export interface RowObserver {
  /** Rows that there are. */
  readonly size: number;
  /**
   * A key has this value now: `keyBytes[keyStart, keyEnd)`, without the prefix, and `bytes[start, end)`, which may be the
   * same buffer. False, and nothing done, for a value that is not in the form which it reads.
   */
  put(keyBytes: Uint8Array, keyStart: number, keyEnd: number, bytes: Uint8Array, start: number, end: number): boolean;
  /** A key is gone. False when there is no row of it. */
  delete(keyBytes: Uint8Array, keyStart: number, keyEnd: number): boolean;
  /** Whether there is a row of a key. */
  has(key: string): boolean;
  /** Like {@link has}; the row counts as seen by the present listing. */
  see(key: string): boolean;
  /** A listing begins: rows that it does not see are stale at its end. */
  startListing(): void;
  /** Removes stale rows. Returns how many. */
  sweep(): number;
  /** Removes all rows. Returns how many. */
  drain(): number;
}

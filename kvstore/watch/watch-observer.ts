import type { RestartReason } from '../contract/index.ts';

/**
 * Who is told what a prefix holds. Calls come one at a time, in the order of the store. A call that throws is logged and
 * counted; the events after it are delivered all the same.
 */
export interface WatchObserver {
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

/** What an audit did. */
export interface AuditResult {
  /** Entries that were missing or different, and are now as desired. */
  readonly written: number;
  /** Entries that nobody desires and that were taken out; 0 without `prune`. */
  readonly removed: number;
  /** Entries that were right and were not touched. */
  readonly kept: number;
}

/** A change of a table: what shall be there, and keys ({@link TableDriver.keyOf}) of what shall not. */
export interface TableChange<E> {
  readonly upsert: readonly E[];
  readonly remove: readonly string[];
}

/**
 * One table of the datapath. Calls queue up behind each other: each sees the kernel as the one before left it. Both
 * methods bear the same input twice. A refused write throws the kernel's error; what was written before it stays, and an
 * audit mends the rest.
 */
export interface TableDriver<E> {
  keyOf(entry: E): string;
  /**
   * Writes `upsert`, then removes `remove`; a key in both stays. The work is O(change), in batches; the lists must not
   * change before the promise settles.
   */
  apply(change: Partial<TableChange<E>>): Promise<void>;
  /**
   * Reads the whole table, compares, and writes only what differs. `desired` is read once, in several turns of the event
   * loop: what changes meanwhile in a collection that lives on is to be applied behind the audit.
   * Without `prune` entries that nobody desires stay: they may belong to what is not known yet.
   */
  audit(desired: Iterable<E>, options: { readonly prune: boolean }): Promise<AuditResult>;
}

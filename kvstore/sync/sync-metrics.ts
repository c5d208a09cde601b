/** Where a sync store reports what it does; every member may be left out. */
export interface SyncMetrics {
  /** Keys that wait. */
  readonly queueSize?: (size: number) => void;
  /** A transaction was applied, with this many keys. */
  readonly flushed?: (keys: number) => void;
  /** A transaction or a key failed. */
  readonly error?: () => void;
  /** Keys that others had deleted or changed were written again. */
  readonly repaired?: (keys: number) => void;
  readonly leaseLost?: () => void;
}

/** A key, prefix or value going in: text means UTF-8. What comes out is always bytes. */
export type Bytes = string | Uint8Array;

/** One key as a store holds it. Revisions are safe integers; a lease of `0n` means none. */
export interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  /** Counts the puts since the key was created; the first is 1. */
  readonly version: number;
  readonly lease: bigint;
}

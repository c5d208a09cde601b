import type { LeaseSlot } from './lease-pool.ts';

/** One key of ours: what it should be, and what we know of what the store holds. */
export interface OwnKey {
  readonly key: string;
  /** Absent: to be deleted. */
  desired: Uint8Array | undefined;
  /** Counts wishes, over all keys; each change of `desired` and each loss of its lease takes the next number. */
  wish: number;
  /** The last wish that the store confirmed. */
  done: number;
  /** The last wish that the store has refused, with what it says of it; `forGood` where it will never take it. */
  refusal: { readonly wish: number; readonly reason: string; readonly forGood: boolean } | undefined;
  slot: LeaseSlot | undefined;
  /** Our last confirmed write. */
  stored: { readonly value: Uint8Array; readonly revision: number } | undefined;
  /** A write failed in a way that leaves open whether it took place. */
  doubtful: boolean;
}

/** True when the store is known to hold what is wished. */
export function settled(own: OwnKey): boolean {
  return own.done === own.wish;
}

/** True when the store will never take what is wished. */
export function refused(own: OwnKey): boolean {
  return own.refusal?.wish === own.wish && own.refusal.forGood;
}

/** True when nothing of ours can be in the store under this key. */
export function nothingStored(own: OwnKey): boolean {
  return !own.stored && !own.doubtful;
}

import type { StoreHealth } from '../../kvstore/index.ts';
import { hintFor } from './errors.ts';

/** What is wrong with a remote, or what it is waited for, and what to do about it; nothing while it is ready. */
export interface Fault {
  readonly failure: unknown;
  readonly hint: string | undefined;
}

export interface FaultFacts {
  readonly ready: boolean;
  /** What we met ourselves. */
  readonly own: unknown;
  readonly health: StoreHealth | undefined;
  /** What a kvstoremesh says of its copies. */
  readonly behind: string | undefined;
  /** What was not read yet, where nothing is wrong. */
  readonly awaited?: Error | undefined;
}

/** What we met ourselves goes before what a kvstoremesh says of its copies. */
export function faultOf({ ready, own, health, behind, awaited }: FaultFacts): Fault {
  const ownFailure = ready ? undefined : (own ?? health?.error);
  if (ownFailure !== undefined) return { failure: ownFailure, hint: hintFor(own, health) };
  if (behind === undefined) return { failure: awaited, hint: awaited && hintFor(awaited) };
  return { failure: behind, hint: 'isthmus status of the kvstoremesh says more; what is known stays in use' };
}

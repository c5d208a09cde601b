import type { Clock } from '../../runtime/clock/index.ts';
import type { Logger } from '../../runtime/log/index.ts';
import type { Store } from '../contract/index.ts';
import type { HoldersOptions } from './holders.ts';

/** All that an allocator needs of a store. */
export type AllocatorStore = Pick<Store, 'list' | 'listAndWatch' | 'transact'> & Partial<Pick<Store, 'lock'>>;

export interface IdentityAllocatorOptions {
  readonly store: AllocatorStore;
  /** With its trailing slash; what follows is the number in decimal. The value is the text that the number stands for. */
  readonly prefix: string;
  /** The same for texts that not every reader may see. One number has one meaning under both. Absent: nothing is hidden. */
  readonly hiddenPrefix?: string;
  /** Numbers to give away, both ends included. */
  readonly range: { readonly min: number; readonly max: number };
  readonly clock: Clock;
  readonly log: Logger;
  /**
   * How long a number that nobody refers to any more stays in the store, and how long after its deletion it is not given to
   * another text. Readers far away may still act on what they knew. Default 10 min.
   */
  readonly graceMs?: number;
  /**
   * Where it stands which numbers were deleted and until when they rest, with its trailing slash, so that a restart and another
   * leader know it, too. Absent: only this life does.
   */
  readonly restPrefix?: string;
  /**
   * Where nodes say which numbers they refer to, with its trailing slash (see `NumberHolder`). Such a number is not
   * collected, and means what they say where the store has forgotten it.
   */
  readonly referencePrefix?: string;
  /** The same for nodes that say all of it in one key each. */
  readonly holders?: HoldersOptions;
  /**
   * Numbers are given only after this has settled: when everybody who may hold numbers of an earlier life of the store
   * has said so: what is known too, since it may be known from long ago.
   */
  readonly opening?: (signal: AbortSignal) => Promise<void>;
  /**
   * Called when the store's content was replaced while it was followed, before any of the new is looked at: {@link opening}
   * is asked again by whoever wants a number from now on.
   */
  readonly onReplaced?: () => void;
  /** A lock under this prefix and the number is held while a number is deleted, as others do who collect, too. */
  readonly lockPrefix?: string;
}

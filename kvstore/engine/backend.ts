import type { Change, Row, Snapshot, View } from './row.ts';
import type { Steps } from './steps.ts';

/** Called once per commit, when it is on disk and before any promise of `flush` settles. */
export type CommitListener = (changes: readonly Change[], revision: number) => void;

export interface StoredLease {
  readonly id: bigint;
  readonly ttlSeconds: number;
  /** What it had left when the store was stopped in order; all of its time unless given. */
  readonly leftSeconds?: number;
}

export interface Hold extends Disposable {
  /** True when the rows could be kept no longer. */
  readonly lost: boolean;
}

/**
 * Where an engine keeps its rows. Writes are appended at once and become durable in groups; a transaction appends all
 * its rows within one turn of the event loop, so that no group splits a revision.
 */
export interface Backend extends AsyncDisposable {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** Bytes on disk and in use, as etcd's `Maintenance/Status` reports them. */
  sizes(): BackendSizes;
  /** True when no further put may be accepted. */
  readonly full: boolean;
  /** True while it is full, or the disk has no room for what it was last given. */
  readonly outOfSpace: boolean;
  /** What is wrong with what it has on disk; no write is accepted then. */
  readonly damage: Error | undefined;
  /** Longest key that can be kept. */
  readonly maxKeyBytes: number;
  /** With everything appended so far, durable or not: what the next write builds on. */
  readonly latest: View;
  /** Revision of the last durable write. */
  readonly revision: number;
  readonly compactRevision: number;
  /** What is durable now. */
  snapshot(): Snapshot;
  /** Durable rows from `revision` on, of that revision from place `sub` on (0 unless given), in order of revision and place. */
  log(revision: number, sub?: number): Iterable<Row>;
  /** The live row that a durable `row` replaced, if history still has it. */
  replacedBy(row: Row): Row | undefined;
  append(change: Change): void;
  leases(): readonly StoredLease[];
  leaseKeys(id: bigint): Uint8Array[];
  /** The same for those who need not have them within one turn. */
  leaseKeysSteps(id: bigint): Steps<Uint8Array[]>;
  putLease(lease: StoredLease): void;
  removeLease(id: bigint): void;
  /** Told right before an orderly end what time each lease has left, in seconds: the next start goes on from there. */
  keepTimes(left: ReadonlyMap<bigint, number>): void;
  /** Settles when everything appended so far is durable. @throws EngineError when it could not be written: then none of it was. */
  flush(): Promise<void>;
  /** Forgets history below `revision`; settles when reads below are refused for good and the rows are gone. */
  compact(revision: number): Promise<void>;
  /** Keeps the rows that are seen at `revision`, which is not compacted, although it will be. */
  hold(revision: number): Hold;
  onCommit(listener: CommitListener): void;
  /** Called when a group could not be written and everything appended was dropped. */
  onRollback(listener: () => void): void;
  /** Called once, when nothing can be written any more until the store is opened anew. */
  onBroken(listener: (error: Error) => void): void;
}

/** In bytes, and how many keys there are. */
export interface BackendSizes {
  readonly total: number;
  readonly inUse: number;
  /** Bytes in use from which on puts are refused. */
  readonly quota?: number;
  readonly keys: number;
}

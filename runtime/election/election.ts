/**
 * Chooses one of several processes that would do the same work: a Lease of Kubernetes, a lock of the store. Terms are
 * kept apart by time: a leader is told that its term is over before another one may begin, provided that clocks run at the
 * same pace and nobody stands still. What is written has to be fenced besides (`claimTerm` of `kvstore/fenced`).
 */
export interface Election {
  /** What is stood for, for messages, without credentials: `Lease kube-system/isthmus-apiserver`. */
  readonly description: string;
  /**
   * Stands for election until `signal` aborts, and calls `lead` for each term won, one at a time. Its signal aborts when
   * the term is over: taken away, not renewed in time, or because `signal` aborted. The next term, of ours or of another,
   * begins after `lead` has settled or, where it does not settle, after the term has run out.
   *
   * When `lead` returns by itself or throws, the office is given up and `run` ends in the same way. On an orderly end
   * the office is released, so that the next process need not wait for it to run out.
   * @throws the reason of `signal` when it aborts;
   * what `lead` throws in a term that was not over; never for what can be repeated (a server that is away).
   */
  run(signal: AbortSignal, lead: (signal: AbortSignal) => Promise<void>): Promise<void>;
  /** Asks, now, whether the office is still held by this process. */
  confirm(signal: AbortSignal): Promise<boolean>;
  /** For status: who leads as far as is known, and whether that is this process. */
  status(): ElectionStatus;
}

export interface ElectionStatus {
  /** The name that this process stands under. */
  readonly identity: string;
  readonly leading: boolean;
  /** Absent while nobody leads, or nothing was read yet. */
  readonly leader?: string;
  /** Why the office could not be read or written last time. */
  readonly error?: string;
}

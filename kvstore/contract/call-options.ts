/** What every call of a store takes. */
export interface CallOptions {
  /** Ends the call early with the signal's reason; whether a write took place is then unknown. */
  readonly signal?: AbortSignal;
  /** Goes before whatever waits for a limit on requests. For the few calls by which others tell that we live and lead. */
  readonly urgent?: boolean;
}

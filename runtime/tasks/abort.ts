/**
 * True when `error` only says that `signal` was aborted: nothing to log, nothing to retry. An abort of something else
 * while `signal` has not aborted is an error like any other. Without a signal, every `AbortError` counts.
 */
export function isAbort(error: unknown, signal?: AbortSignal): boolean {
  if (signal && !signal.aborted) return false;
  if (signal && error === signal.reason) return true;
  return typeof error === 'object' && error !== null && 'name' in error && error.name === 'AbortError';
}

/** The reason a signal was aborted with, as an Error. */
export function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new DOMException(String(signal.reason), 'AbortError');
}

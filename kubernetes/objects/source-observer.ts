import type { KubernetesKind } from './objects.ts';

/** Why an API server could not be read, in few enough words for a metric. */
export type SourceFailure =
  /** What was asked for is no longer known (410): a listing begins anew. */
  | 'expired'
  /** 401 */
  | 'unauthorized'
  /** 403 */
  | 'forbidden'
  /** 404 */
  | 'not-found'
  /** 429 */
  | 'throttled'
  /** Any other answer that is no success. */
  | 'refused'
  /** What came is not what the API promises. */
  | 'unreadable'
  /** No answer, or one that broke off. */
  | 'unreachable';

/** Learns how reading a source goes; what is read comes as events. */
export interface SourceObserver {
  /** A listing begins: the first one, or another because changes cannot be followed from where we were. */
  listing(kind: KubernetesKind): void;
  /** The source has said something of the kind, be it that nothing has changed (a bookmark). */
  contact(kind: KubernetesKind): void;
  failure(kind: KubernetesKind, failure: SourceFailure): void;
}

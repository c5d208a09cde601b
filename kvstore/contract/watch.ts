import type { KeyValue } from './key-value.ts';

/** One change under a watched prefix, in the order the store applied it. */
export type WatchEvent =
  | { readonly type: 'put'; readonly entry: KeyValue }
  | { readonly type: 'delete'; readonly key: Uint8Array; readonly revision: number };

/**
 * What {@link Store.listAndWatch} yields:
 * - `restart`: a (new) listing begins; it comes first, and again whenever the store could not resume exactly (compaction,
 *   wiped or restored store). What a consumer knows stays valid until the next `synced`.
 * - `changes`: puts and deletes. A batch never splits a revision. Within a listing only puts come.
 * - `synced`: the listing is complete; whatever was known before the last `restart` and not seen since is gone.
 *
 * Order: revisions never go back between two `restart`s; each change after `synced` comes exactly once, also across
 * connection losses. Buffers of a batch belong to the consumer until it asks for the next batch: copy what you keep.
 */
export type WatchBatch =
  | { readonly type: 'restart'; readonly reason: RestartReason }
  | {
      readonly type: 'changes';
      readonly events: readonly WatchEvent[];
      readonly revision: number;
      /** The same once more, where the store has it at no cost; `events` are then made when they are asked for. */
      readonly packed?: PackedChanges;
    }
  | { readonly type: 'synced'; readonly revision: number };

/**
 * The changes of a batch as positions in the bytes that came, for whoever reads them without making objects. `spans` has
 * four numbers a change: where key and value begin and end in its buffer; of a deletion, the value's are −1.
 */
export interface PackedChanges {
  readonly length: number;
  readonly buffers: readonly Uint8Array[];
  readonly spans: ArrayLike<number>;
  readonly revisions: ArrayLike<number>;
  /** Counted when it is asked for; absent where it is not known without making objects. */
  readonly kinds?: ChangeKinds;
}

/** Which kinds of changes a batch has at least one of. */
export interface ChangeKinds {
  /** Puts of keys that did not exist. */
  readonly created: boolean;
  readonly modified: boolean;
  readonly deleted: boolean;
}

/** Why a listing begins: the first one, history compacted, the store's content replaced, or too far behind to replay. */
export type RestartReason = 'start' | 'compacted' | 'store-replaced' | 'too-far-behind';

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** Upper bound of entries per batch of a listing. */
  readonly pageSize?: number;
}

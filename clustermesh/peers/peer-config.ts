/** The configuration of one remote cluster as the directory holds it: an etcd client configuration. */
export interface PeerConfig {
  /** The file's name is the cluster's name. */
  readonly cluster: string;
  readonly path: string;
  /** YAML, unparsed: whoever opens the store reads it. */
  readonly text: string;
  /** What is allowed to it (`<cluster>.isthmus.yaml`), unparsed; absent where there is no such file. */
  readonly policy?: { readonly path: string; readonly text: string };
  /** SHA-256 of the file and of its policy, in hex: equal bytes are no change. */
  readonly hash: string;
}

/**
 * One change of the directory. `listed` comes once, after the first complete look; `unread` are clusters whose files are there and hold nothing
 * that could be followed: what an earlier life knew of them is not to be forgotten before their `add` or `remove`.
 */
export type PeerEvent =
  | { readonly type: 'add'; readonly config: PeerConfig }
  | { readonly type: 'remove'; readonly cluster: string }
  | { readonly type: 'listed'; readonly unread?: ReadonlySet<string> };

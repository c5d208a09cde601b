/** What `GET /v1/status` of an apiserver shows. */
export interface ApiserverStatus {
  readonly clusterName: string;
  readonly clusterId: number;
  readonly source: string;
  /** Whose objects nodes and endpoints are made of. */
  readonly mode: 'kubernetes' | 'cilium';
  /** True once every canary is written. */
  readonly ready: boolean;
  /** Kinds of objects that the source has handed over completely. */
  readonly synced: Readonly<Record<string, boolean>>;
  readonly counts: {
    readonly nodes: number;
    /** Pods with an endpoint of their own. */
    readonly endpoints: number;
    readonly identities: number;
    /** Shared global services. */
    readonly services: number;
    /** EndpointSlices of shared global services. */
    readonly endpointSlices: number;
    readonly serviceExports: number;
    readonly localServices: number;
    readonly namespaces: number;
  };
  /** Canaries written in this life: keys. */
  readonly canaries: readonly string[];
  /** What holds back those that are missing, in words. */
  readonly waitingFor: readonly string[];
  /** Nodes whose agents have not said that their set is complete, and are not waited for: not ready, or silent for too long. */
  readonly silentNodes: readonly string[];
  /** RFC 3339; empty before the first one. */
  readonly lastHeartbeat: string;
  readonly queued: number;
  /** Why nothing can be written into the store at present: what is published is from before. Absent while it can. */
  readonly unwritten?: string;
  /** What of the source cannot be read at present: what is published of it is from before. */
  readonly unread: readonly { readonly object: string; readonly reason: string }[];
  /** Objects that were left out, with the reason. */
  readonly errors: readonly { readonly object: string; readonly reason: string }[];
  readonly store: {
    readonly connected: boolean;
    readonly endpoint: string;
    readonly error?: string;
    /** Clock time (ms) since when it cannot be reached. */
    readonly lostSinceMs?: number;
  };
}

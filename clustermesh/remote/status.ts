import type { Refusal } from './refusals.ts';
import type { RemoteKind } from './kinds.ts';

/**
 * State of one remote cluster in the shape of Cilium's RemoteCluster JSON (clustermesh-behaviour §13.3), followed by what
 * it does not say. Members that Cilium omits when they are zero are always there.
 */
export interface RemoteClusterStatus {
  readonly name: string;
  /** Connected, configuration read, and every kind listed on this connection. */
  readonly ready: boolean;
  readonly connected: boolean;
  readonly 'num-nodes': number;
  readonly 'num-endpoints': number;
  readonly 'num-identities': number;
  readonly 'num-shared-services': number;
  readonly 'num-service-exports': number;
  readonly 'num-failures': number;
  /** RFC 3339; Go's zero time when nothing ever failed. */
  readonly 'last-failure': string;
  readonly status: string;
  readonly config: RemoteConfigStatus;
  readonly synced: {
    readonly nodes: boolean;
    readonly endpoints: boolean;
    readonly identities: boolean;
    readonly services: boolean;
  };
  /** Seconds since the last sign of life of the control plane; absent before the first. */
  readonly 'heartbeat-age-seconds'?: number;
  /** Silent for more than two minutes. What is known of it stays in use. */
  readonly stale: boolean;
  /** Listed completely at least once in this process; until then nothing of it may be judged gone. */
  readonly known: boolean;
  /** Present while it is served from what an earlier life of this process knew of it; it is not ready then. */
  readonly restored?: {
    /** RFC 3339; when that was last known to be so. */
    readonly 'as-of': string;
    readonly 'age-seconds': number;
    readonly records: number;
    /** Kinds that were too much to be kept. */
    readonly 'left-out': readonly string[];
  };
  /** Why what was remembered cannot be used. Global services are left as they are until the cluster was read. */
  readonly lost?: string;
  readonly refused: { readonly total: number; readonly keys: readonly Refusal[] };
  /** The last failure in words, and what to do about it; absent while ready. */
  readonly failure?: string;
  readonly hint?: string;
}

export interface RemoteConfigStatus {
  readonly required: true;
  readonly retrieved: boolean;
  readonly 'cluster-id'?: number;
  readonly kvstoremesh?: boolean;
  readonly 'sync-canaries'?: boolean;
  readonly 'service-exports-enabled'?: boolean;
  readonly 'endpoint-slices-export-mode'?: string;
}

/** What the members of `synced` and `num-…` are called for each kind. */
export const statusNames: Readonly<Record<RemoteKind, keyof RemoteClusterStatus['synced']>> = {
  nodes: 'nodes',
  services: 'services',
  ip: 'endpoints',
  identities: 'identities',
};

export const neverFailed = '0001-01-01T00:00:00.000Z';

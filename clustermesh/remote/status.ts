import type { RefusalCode } from '../acceptance/index.ts';
import type { ClusterConfigRecord } from '../wire/index.ts';
import type { CopyState } from './copy-report-reader.ts';
import type { Refusal, Refusals } from './refusals.ts';
import type { RemoteKind } from './kinds.ts';

/**
 * State of one remote cluster in the shape of Cilium's RemoteCluster JSON (clustermesh-behaviour §13.3), followed by what
 * it does not say. Members that Cilium omits when they are zero are always there.
 */
export interface RemoteClusterStatus {
  readonly name: string;
  /** Connected, configuration read, every kind listed on this connection, and not stale. */
  readonly ready: boolean;
  readonly connected: boolean;
  readonly 'num-nodes': number;
  readonly 'num-endpoints': number;
  readonly 'num-identities': number;
  readonly 'num-shared-services': number;
  /** Absent where they are not read (Cilium 1.20, `--clustermesh-service-v2`). */
  readonly 'num-endpoint-slices'?: number;
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
    /** Absent where they are not read. */
    readonly 'endpoint-slices'?: boolean;
  };
  /** Seconds since the last sign of life of the control plane; absent before the first. */
  readonly 'heartbeat-age-seconds'?: number;
  /** How old what is known may be; 0 while ready, absent while nothing is known. */
  readonly 'data-age-seconds'?: number;
  /**
   * What a kvstoremesh says of the copies that are read in the remote's place; absent where it is read itself. `behind`: not ready;
   * `unknown`: nobody says (Cilium's kvstoremesh), so that `ready` speaks of the way to the copies only.
   */
  readonly copies?: { readonly state: 'current' | 'behind' | 'unknown'; readonly reason?: string };
  /** Silent for more than two minutes, or its lease is lost. What is known of it stays in use. */
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
  /** Present while its store answers and has no configuration of it any more. */
  readonly 'lease-lost'?: {
    readonly 'age-seconds': number;
    /** Until what is known is withdrawn; absent where that never happens. */
    readonly 'kept-for-seconds'?: number;
    readonly withdrawn: boolean;
  };
  readonly refused: {
    /** Values so far, mended ones included; also by reason. */
    readonly total: number;
    readonly reasons: Readonly<Partial<Record<RefusalCode, number>>>;
    /** Keys whose present value is refused, up to a hundred. */
    readonly keys: readonly Refusal[];
  };
  /** By which we are known there; absent without TLS. */
  readonly certificate?: RemoteCertificate;
  /** The last failure in words, and what to do about it; absent while ready. */
  readonly failure?: string;
  readonly hint?: string;
}

export interface RemoteCertificate {
  readonly subject: string;
  /** SHA-256. */
  readonly fingerprint: string;
  /** RFC 3339. */
  readonly 'not-after': string;
  readonly file: string;
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

export const neverFailed = '0001-01-01T00:00:00.000Z';

/** What a status is made of. */
export interface StatusFacts {
  readonly name: string;
  readonly ready: boolean;
  readonly connected: boolean;
  readonly stale: boolean;
  readonly known: boolean;
  readonly size: (kind: RemoteKind) => number;
  /** Undefined where a kind is not to be spoken of. */
  readonly synced: (kind: RemoteKind) => boolean | undefined;
  readonly failures: number;
  readonly lastFailureMs: number | undefined;
  readonly failure: unknown;
  readonly hint: string | undefined;
  readonly words: string;
  readonly config: ClusterConfigRecord | undefined;
  readonly heartbeatAgeMs: number | undefined;
  readonly dataAgeMs: number | undefined;
  readonly copies: CopyState | undefined;
  readonly recalled:
    | {
        readonly asOfMs: number;
        readonly records: number;
        readonly leftOut: readonly string[];
        readonly ageSeconds: number;
      }
    | undefined;
  readonly lost: string | undefined;
  readonly lease: {
    readonly ageMs: number | undefined;
    readonly leftMs: number | undefined;
    readonly withdrawn: boolean;
  };
  readonly refusals: Pick<Refusals, 'total' | 'reasons' | 'list'>;
  readonly certificate: RemoteCertificate | undefined;
}

export function statusOf(facts: StatusFacts): RemoteClusterStatus {
  const slices = facts.synced('endpointslices');
  const { size, synced, heartbeatAgeMs, dataAgeMs, copies, recalled, lost, lease, refusals, certificate } = facts;
  const { failure, hint } = facts;
  return {
    name: facts.name,
    ready: facts.ready,
    connected: facts.connected,
    'num-nodes': size('nodes'),
    'num-endpoints': size('ip'),
    'num-identities': size('identities'),
    'num-shared-services': size('services'),
    ...(slices === undefined ? {} : { 'num-endpoint-slices': size('endpointslices') }),
    'num-service-exports': 0,
    'num-failures': facts.failures,
    'last-failure': facts.lastFailureMs === undefined ? neverFailed : new Date(facts.lastFailureMs).toISOString(),
    status: facts.words,
    config: configStatus(facts.config),
    synced: {
      nodes: synced('nodes') ?? false,
      endpoints: synced('ip') ?? false,
      identities: synced('identities') ?? false,
      services: synced('services') ?? false,
      ...(slices === undefined ? {} : { 'endpoint-slices': slices }),
    },
    ...(heartbeatAgeMs === undefined ? {} : { 'heartbeat-age-seconds': Math.floor(heartbeatAgeMs / 1000) }),
    ...(dataAgeMs === undefined ? {} : { 'data-age-seconds': Math.floor(dataAgeMs / 1000) }),
    ...(copies === undefined
      ? {}
      : { copies: { state: copies.state, ...(copies.state === 'behind' ? { reason: copies.reason } : {}) } }),
    stale: facts.stale,
    known: facts.known,
    ...(recalled === undefined
      ? {}
      : {
          restored: {
            'as-of': new Date(recalled.asOfMs).toISOString(),
            'age-seconds': recalled.ageSeconds,
            records: recalled.records,
            'left-out': recalled.leftOut,
          },
        }),
    ...(lost === undefined ? {} : { lost }),
    ...(lease.ageMs === undefined
      ? {}
      : {
          'lease-lost': {
            'age-seconds': Math.floor(lease.ageMs / 1000),
            withdrawn: lease.withdrawn,
            ...(lease.leftMs === undefined ? {} : { 'kept-for-seconds': Math.ceil(lease.leftMs / 1000) }),
          },
        }),
    refused: { total: refusals.total, reasons: refusals.reasons(), keys: refusals.list() },
    ...(certificate ? { certificate } : {}),
    ...(failure === undefined ? {} : { failure: wordsOf(failure) }),
    ...(hint === undefined ? {} : { hint }),
  };
}

/** What is known of a cluster's configuration; without one, that it has not been retrieved. */
export function configStatus(config: ClusterConfigRecord | undefined): RemoteConfigStatus {
  if (!config) return { required: true, retrieved: false };
  const { id, cached, syncedCanaries, serviceExportsEnabled, endpointSlicesExportMode } = config;
  return {
    required: true,
    retrieved: true,
    'cluster-id': id,
    kvstoremesh: cached,
    'sync-canaries': syncedCanaries,
    ...(serviceExportsEnabled === undefined ? {} : { 'service-exports-enabled': serviceExportsEnabled }),
    ...(endpointSlicesExportMode === undefined ? {} : { 'endpoint-slices-export-mode': endpointSlicesExportMode }),
  };
}

function wordsOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : typeof failure === 'string' ? failure : 'Unknown failure';
}

import { HeartbeatLostError, LeaseLostError, configStatus, hintFor, neverFailed } from '../remote/index.ts';
import { type Resource, watchPrefix } from '../wire/index.ts';
import type { ConfigConflict } from './config-conflicts.ts';
import type { MirroredCluster } from './mirrored-cluster.ts';
import { type CachedClusterStatus, syncedNames } from './status.ts';

/** How many refused keys are named. */
const shownRefusals = 20;

/** What can be said of one remote cluster. @param conflict what agents have against its configuration */
export function statusOf(cluster: MirroredCluster, conflict: ConfigConflict | undefined): CachedClusterStatus {
  const { heartbeatAgeMs, stale, failures, health, known, reflectors } = cluster;
  const ready = isWell(cluster, conflict);
  const fault = ready ? undefined : faultOf(cluster, conflict);
  const hint = fault && hintFor(fault.error, health);
  const size = (resource: Resource): number => reflectors.find((one) => one.resource === resource)?.size ?? 0;
  const sum = (of: 'held' | 'pending'): number => reflectors.reduce((all, reflector) => all + reflector[of], 0);
  return {
    name: cluster.name,
    ready,
    connected: cluster.heard,
    'num-nodes': size('nodes'),
    'num-endpoints': size('ip'),
    'num-identities': size('identities'),
    'num-shared-services': size('services'),
    'num-service-exports': size('serviceexports'),
    'num-endpoint-slices': size('endpointslices'),
    'num-failures': failures.count,
    'last-failure': failures.lastMs === undefined ? neverFailed : new Date(failures.lastMs).toISOString(),
    status: health
      ? `etcd: ${cluster.heard ? '1/1' : '0/1'} connected, ${health.endpoint}${health.storeId === undefined ? '' : `, ID: ${health.storeId}`}`
      : 'Waiting for initial connection to be established',
    config: configStatus(cluster.connected ? cluster.config : undefined),
    synced: Object.fromEntries(
      reflectors.map(({ resource, synced }) => [syncedNames[resource], synced]),
    ) as unknown as CachedClusterStatus['synced'],
    ...(heartbeatAgeMs === undefined ? {} : { 'heartbeat-age-seconds': Math.floor(heartbeatAgeMs / 1000) }),
    stale,
    known,
    'held-removals': sum('held'),
    'cache-revocations': cluster.revocations,
    queued: sum('pending'),
    ...(cluster.loading ? { loading: true as const } : {}),
    refused: refusedOf(cluster),
    ...(conflict === undefined ? {} : { conflict: conflict.reason }),
    ...(fault === undefined ? {} : { failure: fault.text }),
    ...(hint === undefined ? {} : { hint }),
  };
}

function refusedOf({ name, reflectors, limit }: MirroredCluster): CachedClusterStatus['refused'] {
  const byStore = reflectors.flatMap(({ resource, refusals }) =>
    [...refusals].map(([key, reason]) => ({ kind: resource, key, reason })),
  );
  const prefix = watchPrefix('ip', name, 'cache');
  const outside = limit
    .first(shownRefusals)
    .map(({ key, reason }) => ({ kind: 'ip' as const, key: prefix + key, reason }));
  return {
    total: byStore.length + limit.size,
    reasons: {
      ...(limit.size === 0 ? {} : { 'not-allowed': limit.size }),
      ...(byStore.length === 0 ? {} : { store: byStore.length }),
    },
    keys: [...byStore, ...outside].slice(0, shownRefusals),
  };
}

/** What is wrong, in words, and as of errors for a hint. */
interface Fault {
  readonly text: string;
  readonly error: unknown;
}

function faultOf(cluster: MirroredCluster, conflict: ConfigConflict | undefined): Fault | undefined {
  const known = lastingFaultOf(cluster) ?? silenceOf(cluster);
  if (known) return known;
  if (conflict) return { text: conflict.reason, error: conflict };
  const awaited = cluster.connected ? cluster.awaited : undefined;
  return awaited && { text: awaited.message, error: awaited };
}

function silenceOf({ stale, heard, heartbeatAgeMs }: MirroredCluster): Fault | undefined {
  if (!stale || !heard || heartbeatAgeMs === undefined) return undefined;
  const error = new HeartbeatLostError(Math.round(heartbeatAgeMs / 1000));
  return { text: error.message, error };
}

/** Whether it is copied completely, and nothing speaks against what it says. */
export function isWell(cluster: MirroredCluster, conflict: ConfigConflict | undefined): boolean {
  const { connected, synced, stale, misread } = cluster;
  return connected && synced && !stale && misread === undefined && conflict === undefined;
}

/** What is wrong, in words that stay the same as long as it is; nothing of mere silence. */
export function lastingFailureOf(cluster: MirroredCluster): string | undefined {
  return lastingFaultOf(cluster)?.text;
}

function lastingFaultOf({ name, failures, config, health, heard, misread }: MirroredCluster): Fault | undefined {
  if (failures.configMissing && config) {
    const text = 'The remote cluster has lost its configuration, and with it its lease';
    return { text, error: new LeaseLostError(name) };
  }
  const error = misread ?? failures.last;
  if (error !== undefined) return { text: error instanceof Error ? error.message : 'Unknown failure', error };
  return heard || health?.error === undefined ? undefined : { text: health.error, error: undefined };
}

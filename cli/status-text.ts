import type { AgentStatus } from '../agent/index.ts';
import type {
  CachedClusterStatus,
  KvstoreMeshStatus,
  RemoteClusterStatus,
  ReplicaStatus,
} from '../clustermesh/index.ts';
import { certificateLines } from './certificate-status.ts';
import type { PeerServingStatus } from './peer-serving.ts';
import { formatTree, shownLine } from './output/index.ts';
import { remoteClusterLines } from './remote-lines.ts';

/** What one process answered, or why it did not. */
export interface StatusAnswer {
  readonly role: string;
  readonly socket: string;
  readonly status?: unknown;
  readonly error?: string;
}

/** An answer for people. Lines on remote clusters are laid out as Cilium's (clustermesh-behaviour §13.2). */
export function statusText(answer: StatusAnswer): string {
  const { status } = answer;
  if (answer.error !== undefined) return `${answer.role} at ${answer.socket}: no answer\n  ${answer.error}\n`;
  // Both ends are of one version: what has a node is an agent's status, what has canaries an apiserver's.
  if (has(status, 'node')) return agentText(status as AgentStatus);
  if (has(status, 'canaries')) return apiserverText(status as ReplicaStatus);
  if (has(status, 'kvstoremesh')) return kvstoreMeshText(status as KvstoreMeshStatus);
  return formatTree(answer);
}

function agentText(status: AgentStatus): string {
  const { counts, store } = status;
  const ready = status.clusters.filter((cluster) => cluster.ready).length;
  return lines([
    `agent ${status.cluster}/${status.node} (${status.nodeIp}): ${readiness(status)}, up ${status.uptimeSeconds} s`,
    `  Store:         ${store.endpoint}: ${connectionText(store)}, revision ${store.revision}, ${store.reconnections} reconnections, ID: ${store.storeId ?? 'unknown'}`,
    `  Own cluster:   ${counts.nodes} nodes, ${counts.endpoints} endpoints (${counts.localEndpoints} here), ${counts.identities} identities, ${counts.services} services`,
    `  Kernel:        ${status.tables.map(tableText).join(', ')}; ${status.routes} routes; services at the socket level: ${status.socketLevel ? 'yes' : 'no'}`,
    `  Published:     ${status.registration.keys} keys, ${status.registration.queued} queued`,
    ...unwrittenLines(status.registration),
    // An agent of the version before does not say so.
    ...(status.registration.refused ?? []).map(({ key, reason }) => `  Refused:       ${key}: ${reason}`),
    ...unreadLines(status.unread),
    `  ClusterMesh:   ${ready}/${status.clusters.length} remote clusters ready`,
    ...status.clusters.flatMap(remoteLines),
  ]);
}

function apiserverText(status: ReplicaStatus & { readonly certificates?: PeerServingStatus }): string {
  const { counts, store, errors, election } = status;
  // A standby reads nothing, and an apiserver of the version before does not say so.
  const unread = isStandby(status) ? [] : (status.unread ?? []);
  const isUnread = (object: string): boolean => unread.some((one) => one.object === object);
  return lines([
    `apiserver ${status.clusterName} (id ${status.clusterId}): ${isStandby(status) ? standby(status) : readiness(status)}${unread.length === 0 ? '' : ', and does not learn what changes'}`,
    `  Store:         ${store.endpoint}: ${connectionText(store)}`,
    ...(election ? [`  Election:      ${electionText(election)}`] : []),
    `  Source:        ${status.source}${status.mode === 'cilium' ? ', a cluster of Cilium' : ''}`,
    `  Published:     ${counts.nodes} nodes, ${counts.endpoints} endpoints, ${counts.identities} identities, ${counts.localServices} services, ${counts.services} of them shared global, ${counts.endpointSlices} slices, ${counts.serviceExports} service exports, ${counts.namespaces} namespaces; ${status.queued} queued`,
    `  Heartbeat:     ${status.lastHeartbeat === '' ? 'none yet' : status.lastHeartbeat}`,
    ...(status.certificates ? certificateLines(status.certificates) : []),
    ...status.silentNodes.map((node) => `  Silent node:   ${node}`),
    ...unwrittenLines(isStandby(status) ? {} : status),
    ...unreadLines(unread),
    ...errors
      .filter(({ object }) => !isUnread(object))
      .map(({ object, reason }) => `  Left out:      ${object}: ${reason}`),
  ]);
}

function kvstoreMeshText(status: KvstoreMeshStatus): string {
  const { clusters, draining, store } = status;
  const ready = clusters.filter((cluster) => cluster.ready).length;
  return lines([
    `kvstoremesh ${status.kvstoremesh}: ${readiness(status)}, ${status.leader ? 'leading' : 'standing by'}`,
    `  Store:         ${store.endpoint}: ${connectionText(store)}`,
    ...unwrittenLines(status),
    ...unreadLines(status.unread),
    `  KVStoreMesh:   ${ready}/${clusters.length} remote clusters ready`,
    ...clusters.flatMap(cachedLines),
    ...draining.map(
      ({ name, phase, failure }) => `   ${name}: leaving, ${phase}${failure === undefined ? '' : ` (${failure})`}`,
    ),
  ]);
}

/** How much of what is waited for is named; `-o json` has all of it. */
const namedWaits = 10;
/** How many refused keys are named: `-o json` names more. */
const shownRefusals = 5;

function cachedLines(cluster: CachedClusterStatus): string[] {
  const { refused, conflict } = cluster;
  const { store = 0, 'not-allowed': outside = 0 } = refused.reasons;
  const held = cluster['held-removals'];
  return [
    ...remoteLines({ ...cluster, refused: { total: 0, reasons: {}, keys: [] } }),
    ...(cluster.loading ? ['   └  loading: copies of an earlier leader are not counted yet'] : []),
    ...(held === 0 ? [] : [`   └  ${held} records went with a lease of the cluster and are kept for now`]),
    ...(store === 0 ? [] : [`   └  ${store} records that the local store cannot take`]),
    ...(outside === 0 ? [] : [`   └  ${outside} addresses outside of its allowedCIDRs, which are not copied`]),
    ...refused.keys.slice(0, shownRefusals).map(({ key, reason }) => `   └     ${key}: ${reason}`),
    // Said already, with what to do about it, where nothing else is wrong.
    ...(conflict === undefined || conflict === cluster.failure ? [] : [`   └  ${conflict}`]),
  ];
}

function isStandby({ election }: ReplicaStatus): boolean {
  if (election === undefined || election.leading || election.leader === undefined) return false;
  return election.leader !== election.identity;
}

function standby({ election }: ReplicaStatus): string {
  return election?.error === undefined ? 'standing by' : 'standing by, and cannot stand for election';
}

function electionText({ identity, leading, leader, error }: NonNullable<ReplicaStatus['election']>): string {
  const other = leader === identity ? 'nobody that is known' : (leader ?? 'nobody');
  const who = leading ? `this one leads (${identity})` : `${other} leads, this is ${identity}`;
  return error === undefined ? who : `${who}; ${error}`;
}

function remoteLines(remote: RemoteClusterStatus): string[] {
  return remoteClusterLines(remote);
}

function unreadLines(unread: readonly { readonly object: string; readonly reason: string }[] = []): string[] {
  return unread.map(({ object, reason }) => `  Not read:      ${object}: ${reason}`);
}

function unwrittenLines({ unwritten }: { readonly unwritten?: string }): string[] {
  return unwritten === undefined ? [] : [`  Not written:   ${unwritten}`];
}

function connectionText(store: ReplicaStatus['store']): string {
  if (store.connected) return 'connected';
  const since = store.lostSinceMs === undefined ? '' : ` since ${new Date(store.lostSinceMs).toISOString()}`;
  return `not connected${since} (${store.error ?? 'not yet'})`;
}

function tableText({ name, pending, error }: AgentStatus['tables'][number]): string {
  if (error !== undefined) return `${name} failing (${error})`;
  return pending === 0 ? `${name} in step` : `${name} ${pending} pending`;
}

function readiness({ ready, waitingFor }: { readonly ready: boolean; readonly waitingFor: readonly string[] }): string {
  if (ready) return 'ready';
  if (waitingFor.length === 0) return 'not ready';
  const rest = waitingFor.length - namedWaits;
  // A mesh has hundreds of clusters; each has lines of its own below.
  const named = rest > 1 ? [...waitingFor.slice(0, namedWaits), `${rest} more`] : waitingFor;
  return `not ready, waiting for ${named.join(', ')}`;
}

function has(value: unknown, member: string): boolean {
  return typeof value === 'object' && value !== null && member in value;
}

function lines(all: readonly string[]): string {
  return `${all.map((line) => shownLine(line)).join('\n')}\n`;
}

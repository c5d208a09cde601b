import { callUnixApi, hangsAfterMs } from '../../runtime/serve/index.ts';
import { type LabPaths, apiserverPaths, nodePaths } from '../state/index.ts';
import type { Topology } from '../topology/index.ts';
import type { ClusterReport } from './report.ts';

/** What this file reads of a process's own store. */
interface OwnStore {
  readonly connected?: boolean;
  readonly endpoint?: string;
  readonly error?: string;
  /** Clock time (ms). */
  readonly lostSinceMs?: number;
}

/** What this file reads of an apiserver's `GET /v1/status`. */
interface ApiserverStatus {
  readonly ready?: boolean;
  readonly waitingFor?: readonly string[];
  readonly store?: OwnStore;
  readonly counts?: {
    readonly nodes?: number;
    readonly endpoints?: number;
    readonly identities?: number;
    readonly services?: number;
    readonly localServices?: number;
  };
}

/** What this file reads of an agent's `GET /v1/status`. */
interface AgentStatus {
  readonly ready?: boolean;
  readonly waitingFor?: readonly string[];
  readonly store?: OwnStore;
  readonly clusters?: readonly {
    readonly name: string;
    readonly ready?: boolean;
    readonly 'heartbeat-age-seconds'?: number;
  }[];
}

/** Asks every apiserver and agent, and sums up each cluster. A process that does not answer is named in `state`. */
export async function clusterReports(
  paths: LabPaths,
  topology: Topology,
  signal?: AbortSignal,
): Promise<ClusterReport[]> {
  const agents = await Promise.all(
    topology.clusters.flatMap((cluster) =>
      cluster.nodes.map(async (node) => ({
        cluster: cluster.name,
        node,
        status: await ask<AgentStatus>(nodePaths(paths, cluster.name, node).apiSocket, signal),
      })),
    ),
  );
  return Promise.all(
    topology.clusters.map(async (cluster) => {
      const status = await ask<ApiserverStatus>(apiserverPaths(paths, cluster.name).apiSocket, signal);
      const own = agents.filter((agent) => agent.cluster === cluster.name);
      const ages = agents
        .filter((agent) => agent.cluster !== cluster.name)
        .flatMap(
          (agent) =>
            agent.status?.clusters?.find((remote) => remote.name === cluster.name)?.['heartbeat-age-seconds'] ?? [],
        );
      const troubles = [...trouble('apiserver', status), ...own.flatMap((agent) => trouble(agent.node, agent.status))];
      const remotes = agents.flatMap((agent) => remoteTrouble(agent.cluster, agent.node, cluster.name, agent.status));
      return {
        name: cluster.name,
        id: cluster.id,
        nodes: status?.counts?.nodes ?? 0,
        endpoints: status?.counts?.endpoints ?? 0,
        identities: status?.counts?.identities ?? 0,
        services: status?.counts?.localServices ?? 0,
        sharedServices: status?.counts?.services ?? 0,
        heartbeatAgeSeconds: ages.length > 0 ? Math.max(...ages) : -1,
        state: [...troubles, ...remotes].join('; ') || 'ready',
      };
    }),
  );
}

async function ask<T>(socket: string, signal?: AbortSignal): Promise<T | undefined> {
  try {
    return (await callUnixApi(socket, {
      route: '/v1/status',
      silenceMs: hangsAfterMs,
      ...(signal ? { signal } : {}),
    })) as T;
  } catch {
    return undefined;
  }
}

function trouble(who: string, status: ApiserverStatus | AgentStatus | undefined): string[] {
  if (!status) return [`${who} does not answer`];
  // While it is still starting, the store is one of many things that it waits for.
  if (status.store?.lostSinceMs !== undefined && status.store.connected === false) return [lossText(who, status.store)];
  return status.ready === false ? [`${who} waits for ${status.waitingFor?.join(', ') ?? 'something'}`] : [];
}

function lossText(who: string, { endpoint = 'its own', error, lostSinceMs = 0 }: OwnStore): string {
  const since = new Date(lostSinceMs).toISOString();
  return `${who} lost store ${endpoint} at ${since}${error === undefined ? '' : ` (${error})`}`;
}

function remoteTrouble(cluster: string, node: string, remote: string, status: AgentStatus | undefined): string[] {
  const seen = status?.clusters?.find((candidate) => candidate.name === remote);
  return cluster !== remote && seen?.ready === false ? [`not ready for ${cluster}/${node}`] : [];
}

import type { AgentStatus } from '../agent/index.ts';
import { UsageError, closest, defineOptions } from '../runtime/options/index.ts';
import { ApiError, callUnixApi, hangsAfterMs } from '../runtime/serve/index.ts';
import { defineCommand } from './command.ts';
import { formatRows, outputOptions } from './output/index.ts';
import { type Resource, type Row, columnsFor, isResource, resources } from './resources.ts';
import { findTargets, targetOptions } from './targets.ts';

/** `isthmus get RESOURCE`: what agents know of the mesh, winners of their merged view. */
export const get = defineCommand({
  description: `Resources: ${resources.join(', ')}.\nNodes, identities and IPs are the same in every agent, so one is asked. Services and clusters are what each cluster\nsees: one agent of every cluster is asked.`,
  options: defineOptions({
    cluster: { type: 'string', placeholder: 'NAME', help: 'Only what comes from this cluster' },
    ...targetOptions,
    ...outputOptions,
  }),
  positionals: { usage: 'RESOURCE', min: 1, max: 1 },
  examples: ['isthmus get nodes', 'isthmus get ips --cluster west -o json', 'isthmus get clusters --name default'],
  ends: true,
  run: async (context, { options, positionals }) => {
    const resource = positionals[0] ?? '';
    if (!isResource(resource)) {
      const near = closest(resource, resources);
      throw new UsageError(`There is no resource ${JSON.stringify(resource)}`, {
        hint: near ? `did you mean ${near}?` : `one of ${resources.join(', ')}`,
      });
    }
    const { signal } = context;
    const views = await viewsOf(
      findTargets(options).filter(({ role }) => role !== 'apiserver'),
      signal,
    );
    requireKnown(options.cluster, views);
    const rows = await collect(resource, options.cluster, views, signal);
    context.stdout(formatRows(options.output, columnsFor(resource), rows));
    return 0;
  },
});

/** One agent of a cluster. */
interface View {
  readonly socket: string;
  readonly status: AgentStatus;
}

/** The first agent of each cluster that answers, those that are ready first. @throws when none answers. */
async function viewsOf(targets: readonly { readonly socket: string }[], signal: AbortSignal): Promise<View[]> {
  const answers = await Promise.allSettled(
    targets.map(async ({ socket }) => {
      const status = await callUnixApi(socket, { route: '/v1/status', silenceMs: hangsAfterMs, signal });
      // The shape that `agent/api` declares; both ends are of one version.
      return { socket, status: status as AgentStatus };
    }),
  );
  signal.throwIfAborted();
  const answered = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  const views = answered.filter(({ status }) => typeof status.node === 'string');
  const failure = answers.find((answer) => answer.status === 'rejected');
  const [other] = answered;
  if (views.length === 0 && other)
    throw new UsageError(
      `${other.socket} belongs to ${speakerOf(other.status)}, and only agents know what is in the mesh`,
      {
        option: '--api-socket',
        hint: 'give the control socket of an agent; isthmus status asks any process',
      },
    );
  if (views.length === 0) throw failure?.reason ?? new UsageError('There is no agent to ask');
  const byCluster = new Map<string, View>();
  for (const view of views.toSorted((a, b) => Number(b.status.ready) - Number(a.status.ready)))
    if (!byCluster.has(view.status.cluster)) byCluster.set(view.status.cluster, view);
  return [...byCluster.values()].toSorted((a, b) => (a.status.cluster < b.status.cluster ? -1 : 1));
}

/** @throws {UsageError} for a cluster that nobody asked knows of. */
function requireKnown(cluster: string | undefined, views: readonly View[]): void {
  const known = new Set(views.flatMap(({ status }) => [status.cluster, ...status.clusters.map(({ name }) => name)]));
  if (cluster === undefined || known.has(cluster)) return;
  const near = closest(cluster.toLowerCase(), [...known]);
  throw new UsageError(`There is no cluster ${JSON.stringify(cluster)} in this mesh`, {
    option: '--cluster',
    hint: `${near ? `did you mean ${near}? ` : ''}known: ${[...known].toSorted().join(', ')}`,
  });
}

/** Who answered, going by its status; all ends are of one version. */
function speakerOf(status: object): string {
  if ('canaries' in status) return 'an apiserver';
  return 'processes' in status ? 'a lab' : 'another process';
}

async function collect(
  resource: Resource,
  cluster: string | undefined,
  views: readonly View[],
  signal: AbortSignal,
): Promise<Row[]> {
  if (resource === 'clusters')
    return views.flatMap(clusterRows).filter((row) => cluster === undefined || row['name'] === cluster);
  // Whoever belongs to the cluster asked for knows it best.
  const own = views.find(({ status }) => status.cluster === cluster);
  const asked = own ? [own] : resource === 'services' && cluster === undefined ? views : views.slice(0, 1);
  const query = cluster === undefined ? '' : `?cluster=${encodeURIComponent(cluster)}`;
  const lists = await Promise.all(asked.map(({ socket }) => list(socket, `/v1/${resource}${query}`, signal)));
  return lists.flat();
}

async function list(socket: string, route: string, signal: AbortSignal): Promise<Row[]> {
  const answer = await callUnixApi(socket, { route, signal });
  if (Array.isArray(answer)) return answer as Row[];
  throw new ApiError(502, 'BAD_ANSWER', `${socket} did not answer ${route} with a list`);
}

/** The own cluster and every remote one, as one agent sees them. */
function clusterRows({ status }: View): Row[] {
  const own: Row = {
    from: status.cluster,
    name: status.cluster,
    'cluster-id': status.clusterId,
    ready: status.ready,
    connected: status.store.connected,
    'num-nodes': status.counts.nodes,
    'num-endpoints': status.counts.endpoints,
    'num-identities': status.counts.identities,
    'num-shared-services': undefined,
    status: 'own cluster',
  };
  return [
    own,
    ...status.clusters.map((remote) => ({
      from: status.cluster,
      'cluster-id': remote.config['cluster-id'],
      ...remote,
    })),
  ];
}

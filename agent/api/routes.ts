import { ApiError, type ApiRoutes } from '../../runtime/serve/index.ts';
import type { Datapath } from '../../datapath/index.ts';
import type { Kernel } from '../../kernel/index.ts';
import { type EndpointManager, type NodeEndpoint, endpointKey, parseEndpointRequest } from '../endpoints/index.ts';
import type { Knowledge } from '../knowledge.ts';
import type { Registration } from '../registration/index.ts';
import { listIdentities, listIps, listNodes, listServices } from './lists.ts';
import type { AgentStatus } from './status.ts';

export interface ApiDeps {
  readonly knowledge: Knowledge;
  readonly manager: EndpointManager;
  readonly registration: Pick<Registration, 'leave'>;
  readonly datapath: Datapath;
  readonly kernel: Kernel;
  readonly status: () => AgentStatus;
}

/** The control API of an agent: what a CNI asks for, and what `isthmus` shows to people. */
export function agentRoutes(deps: ApiDeps): ApiRoutes {
  const { knowledge, manager, registration, datapath, kernel, status } = deps;
  const { view, services, own } = knowledge;
  const clusterOf = (query: URLSearchParams): string | undefined => query.get('cluster') ?? undefined;
  return {
    'PUT /v1/endpoints/:namespace/:name': async ({ params, body }) =>
      shown(await manager.put(parseEndpointRequest(params, body))),
    'DELETE /v1/endpoints/:namespace/:name': async ({ params }) => {
      const gone = await manager.delete(
        endpointKey({ namespace: params['namespace'] ?? '', name: params['name'] ?? '' }),
      );
      return { removed: gone !== undefined };
    },
    'GET /v1/endpoints': () => knowledge.endpoints.list().map(shown),
    'GET /v1/status': () => status(),
    'GET /v1/nodes': ({ query }) => listNodes(view, clusterOf(query)),
    'GET /v1/identities': ({ query }) => listIdentities(view, clusterOf(query)),
    'GET /v1/ips': ({ query }) => listIps(view, clusterOf(query)),
    'GET /v1/services': ({ query }) => listServices(services, own.cluster, clusterOf(query)),
    'GET /v1/clusters': ({ query }) => {
      const cluster = clusterOf(query);
      const all = status().clusters.filter(({ name }) => cluster === undefined || name === cluster);
      if (cluster !== undefined && all.length === 0)
        throw new ApiError(404, 'NO_SUCH_CLUSTER', `There is no remote cluster ${cluster} here`);
      return all;
    },
    'GET /v1/kernel': async () => ({ text: await kernel.describe() }),
    'GET /v1/drops': () => ({ drops: datapath.dropCounters(), forwards: datapath.forwardCounters() }),
    'POST /v1/leave': async ({ signal }) => {
      await registration.leave(signal);
      return { left: true };
    },
  };
}

function shown(endpoint: NodeEndpoint) {
  const { namespace, name, ips, identity, endpointId, link, linkIndex, mac, nodeMac } = endpoint;
  return { namespace, name, ips, identity, endpointId, link, linkIndex, mac, nodeMac };
}

import type { LocalEndpoint, LocalEndpointsRecord } from '../wire/records.ts';
import { type BackendSet, addBackend } from './backend-set.ts';

/**
 * Adds the backends of one EndpointSlice. An endpoint serves when it is ready and not terminating, drains when it is
 * terminating and still serving (or ready, which Kubernetes says of a terminating one where the Service publishes addresses
 * that are not), and is no backend otherwise.
 */
export function addLocalBackends(into: BackendSet, slice: LocalEndpointsRecord, cluster: string): void {
  for (const endpoint of slice.endpoints) {
    const state = stateOf(endpoint);
    if (!state) continue;
    for (const address of endpoint.addresses)
      for (const { name, port, protocol } of slice.ports) {
        if (port === undefined) continue;
        addBackend(into, name, {
          address,
          port,
          protocol,
          cluster,
          remote: false,
          state,
          ...(endpoint.nodeName === undefined ? {} : { nodeName: endpoint.nodeName }),
          ...(endpoint.zone === undefined ? {} : { zone: endpoint.zone }),
          ...(endpoint.workload === undefined ? {} : { workload: endpoint.workload }),
        });
      }
  }
}

function stateOf({ ready, serving, terminating }: LocalEndpoint): 'active' | 'terminating' | undefined {
  if (terminating) return serving || ready ? 'terminating' : undefined;
  return ready ? 'active' : undefined;
}

import type { EndpointSliceRecord, SliceEndpoint } from '../wire/records.ts';
import { type BackendSet, addBackend } from './backend-set.ts';

/** Which Service a slice belongs to, in its own namespace (EndpointSlice API). */
export const serviceNameLabel = 'kubernetes.io/service-name';

/** `<namespace>/<service>`; undefined for a slice that belongs to none. */
export function serviceKeyOfSlice({ namespace, labels }: EndpointSliceRecord): string | undefined {
  const service = labels[serviceNameLabel];
  return service ? `${namespace}/${service}` : undefined;
}

const protocols = new Set(['TCP', 'UDP', 'SCTP']);

/**
 * Adds what a remote cluster offers by one EndpointSlice. Its conditions are honoured: an endpoint that terminates and
 * still serves drains, instead of vanishing (clustermesh-behaviour §18). Like other remote backends they have no node name.
 * @param most pairs of address and port that are looked at @returns how many were
 */
export function addRemoteSlice(into: BackendSet, slice: EndpointSliceRecord, most: number): number {
  let pairs = 0;
  for (const endpoint of slice.endpoints) {
    const state = stateOf(endpoint);
    if (!state) continue;
    for (const address of endpoint.addresses)
      for (const { name = '', protocol = 'TCP', port = 0 } of slice.ports) {
        if (++pairs > most) return most;
        if (!protocols.has(protocol) || port === 0) continue;
        addBackend(into, name, {
          address,
          port,
          protocol,
          cluster: slice.cluster,
          remote: true,
          state,
          ...(endpoint.zone ? { zone: endpoint.zone } : {}),
        });
      }
  }
  return pairs;
}

function stateOf({ conditions = {} }: SliceEndpoint): 'active' | 'terminating' | undefined {
  const { ready = true, terminating = false } = conditions;
  const { serving = ready } = conditions;
  if (terminating) return serving || ready ? 'terminating' : undefined;
  return ready ? 'active' : undefined;
}

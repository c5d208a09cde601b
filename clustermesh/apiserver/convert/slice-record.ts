import { parseIp } from '../../../values/ip/index.ts';
import type { EndpointSlice } from '../../../kubernetes/index.ts';
import type { EndpointSliceRecord, SliceEndpoint } from '../../wire/index.ts';

/**
 * The record of an EndpointSlice of a shared global service (kvstore-schema §16.5): labels, annotations, endpoints and
 * ports as they are, terminating and unready endpoints with their conditions, so that others can drain them. Nothing for
 * one without addresses (FQDN), which readers refuse.
 */
export function sliceRecordOf(
  slice: EndpointSlice,
  cluster: { readonly name: string; readonly id: number },
): EndpointSliceRecord | undefined {
  const { metadata, addressType } = slice;
  if (addressType === 'FQDN') return undefined;
  return {
    cluster: cluster.name,
    clusterId: cluster.id,
    namespace: metadata.namespace,
    name: metadata.name,
    labels: metadata.labels,
    annotations: metadata.annotations,
    addressType,
    endpoints: slice.endpoints.map(endpointOf),
    ports: slice.ports,
  };
}

/** Everything but the pod behind it: that is nobody else's business. */
function endpointOf(endpoint: EndpointSlice['endpoints'][number]): SliceEndpoint {
  const { addresses, conditions, statedConditions, hostname, deprecatedTopology, nodeName, zone, hints } = endpoint;
  return {
    addresses: addresses.map(parseIp),
    conditions: statedConditions ?? conditions,
    ...(hostname === undefined ? {} : { hostname }),
    ...(deprecatedTopology ? { deprecatedTopology } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(zone === undefined ? {} : { zone }),
    ...(hints ? { hints: { forZones: hints.forZones.map(({ name }) => name) } } : {}),
  };
}

import { hostPrefix } from '../../../values/ip/index.ts';
import type { CiliumEndpoint, CiliumEndpointSlice, CiliumEndpointState } from '../../../kubernetes/index.ts';
import type { IpRecord } from '../../wire/index.ts';

/** The addresses of a CiliumEndpoint (kvstore-schema §5): one record each, in both families. */
export function ipRecordsOf(endpoint: CiliumEndpoint): IpRecord[] {
  const { namespace, name } = endpoint.metadata;
  return recordsOf(endpoint.status, namespace, name);
}

/** Those of all endpoints in a CiliumEndpointSlice. */
export function ipRecordsOfSlice(slice: CiliumEndpointSlice): IpRecord[] {
  return slice.endpoints.flatMap((endpoint) => recordsOf(endpoint, slice.namespace, endpoint.name));
}

function recordsOf(state: CiliumEndpointState, namespace: string, podName: string): IpRecord[] {
  return state.networking.addressing
    .flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6])
    .filter((ip) => ip !== undefined)
    .map((ip) => ({
      prefix: hostPrefix(ip),
      cidr: false,
      hostIp: state.networking.node ?? '',
      identity: state.identity,
      encryptKey: state.encryptionKey,
      metadata: '',
      namespace,
      podName,
      serviceAccount: state.serviceAccount ?? '',
      namedPorts: state.namedPorts,
    }));
}

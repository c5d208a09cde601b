import { decodeIp } from '../wire/index.ts';
import { type Unit, type UnitKind, anyName } from './units.ts';

/**
 * The unit that a key of ours describes, from what follows the prefix of its kind (docs/store-records.md) and, for
 * addresses, from its value; nothing for a key that is none of ours.
 */
export function unitOfKey(kind: UnitKind, rest: string, value: Uint8Array): Unit | undefined {
  // Which slice an address was in, it does not say.
  if (kind === 'CiliumEndpointSlice') return { kind, namespace: '', name: anyName };
  if (kind === 'CiliumEndpoint') return endpointOf(rest, value);
  const parts = rest.split('/');
  const [first, second, third] = parts;
  if (parts.includes('') || first === undefined || parts.length !== segments[kind]) return undefined;
  switch (kind) {
    case 'Namespace':
    case 'Node':
    case 'CiliumNode':
    case 'CiliumIdentity':
      return { kind, namespace: '', name: first };
    case 'Service':
    case 'shared':
    case 'slice':
    case 'export':
      return second === undefined ? undefined : { kind, namespace: first, name: second };
    case 'EndpointSlice':
      return third === undefined ? undefined : { kind, namespace: first, name: third };
    case 'NetworkPolicy':
      return first !== kind || second === undefined || third === undefined
        ? undefined
        : { kind, namespace: second, name: third };
    case 'Pod':
      return second === undefined || third === undefined ? undefined : { kind, namespace: second, name: third };
  }
}

function endpointOf(rest: string, value: Uint8Array): Unit | undefined {
  try {
    const { namespace, podName } = decodeIp(rest, value);
    return { kind: 'CiliumEndpoint', namespace, name: podName };
  } catch {
    return undefined;
  }
}

const segments: Readonly<Record<Exclude<UnitKind, 'CiliumEndpoint' | 'CiliumEndpointSlice'>, number>> = {
  Namespace: 1,
  Node: 1,
  CiliumNode: 1,
  CiliumIdentity: 1,
  Service: 2,
  shared: 2,
  slice: 2,
  export: 2,
  EndpointSlice: 3,
  NetworkPolicy: 3,
  Pod: 3,
};

import type { Unit, UnitKind } from './units.ts';

/**
 * The unit that a key of ours describes, from what follows the prefix of its kind (docs/store-records.md); nothing for a
 * key that is none of ours.
 */
export function unitOfKey(kind: UnitKind, rest: string): Unit | undefined {
  const parts = rest.split('/');
  const [first, second, third] = parts;
  if (parts.includes('') || first === undefined || parts.length !== segments[kind]) return undefined;
  switch (kind) {
    case 'Namespace':
    case 'Node':
      return { kind, namespace: '', name: first };
    case 'Service':
    case 'shared':
      return second === undefined ? undefined : { kind, namespace: first, name: second };
    case 'EndpointSlice':
      return third === undefined ? undefined : { kind, namespace: first, name: third };
    case 'Pod':
      return second === undefined || third === undefined ? undefined : { kind, namespace: second, name: third };
  }
}

const segments: Readonly<Record<UnitKind, number>> = {
  Namespace: 1,
  Node: 1,
  Service: 2,
  shared: 2,
  EndpointSlice: 3,
  Pod: 3,
};

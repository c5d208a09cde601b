import type { MeshBackend } from './service-backends.ts';

/** Backends by protocol, address and port. */
export type BackendSet = Map<string, MeshBackend & { readonly portNames: string[] }>;

/**
 * Several names for one address and port are one backend that carries them all (cilium/cilium#45109). Told twice, by two
 * slices or two clusters, the first one stays, but an active backend is not hidden by a terminating one of its cluster.
 */
export function addBackend(into: BackendSet, portName: string, backend: Omit<MeshBackend, 'portNames'>): void {
  const key = `${backend.protocol}/${backend.address}/${backend.port}`;
  const known = into.get(key);
  if (!known) {
    into.set(key, { ...backend, portNames: [portName] });
    return;
  }
  if (known.cluster !== backend.cluster) return;
  if (!known.portNames.includes(portName)) known.portNames.push(portName);
  if (known.state === 'terminating' && backend.state === 'active')
    into.set(key, { ...backend, portNames: known.portNames });
}

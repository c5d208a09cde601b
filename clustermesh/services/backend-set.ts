import type { MeshBackend } from './service-backends.ts';

/** Backends by protocol, address and port. A stranger's record may give one of them any number of names. */
export type BackendSet = Map<string, OfferedBackend>;

interface OfferedBackend {
  readonly backend: Omit<MeshBackend, 'portNames'>;
  readonly names: Set<string>;
}

/**
 * Several names for one address and port are one backend that carries them all (cilium/cilium#45109). Told twice, by two
 * slices or two clusters, the first one stays, but an active backend is not hidden by a terminating one of its cluster.
 */
export function addBackend(into: BackendSet, portName: string, backend: Omit<MeshBackend, 'portNames'>): void {
  const key = `${backend.protocol}/${backend.address}/${backend.port}`;
  const known = into.get(key);
  if (!known) {
    into.set(key, { backend, names: new Set([portName]) });
    return;
  }
  if (known.backend.cluster !== backend.cluster) return;
  known.names.add(portName);
  if (known.backend.state === 'terminating' && backend.state === 'active')
    into.set(key, { backend, names: known.names });
}

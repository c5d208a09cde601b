import type { MeshBackend } from './service-backends.ts';

/** More than any one Service has, and a quarter of what the kernel's table of backends holds for all of them (`isthmus_lb4_be`). */
export const maxBackends = 16_384;

/**
 * Of more backends than a Service may have, those of the own cluster first, and of the others as many of each as there is room for: one that
 * offers a hundred thousand takes no room from one that offers ten. What stays is in the order that it had.
 */
export function fitBackends(backends: readonly MeshBackend[]): readonly MeshBackend[] {
  if (backends.length <= maxBackends) return backends;
  const counts = new Map<string, number>();
  for (const backend of backends) counts.set(ownerOf(backend), (counts.get(ownerOf(backend)) ?? 0) + 1);
  const own = Math.min(counts.get('') ?? 0, maxBackends);
  counts.delete('');
  const room = new Map([['', own]]);
  let left = maxBackends - own;
  let others = counts.size;
  for (const [cluster, count] of [...counts].toSorted(([a, m], [b, n]) => m - n || (a < b ? -1 : 1))) {
    const share = Math.min(count, Math.floor(left / others--));
    room.set(cluster, share);
    left -= share;
  }
  return backends.filter((backend) => {
    const free = room.get(ownerOf(backend)) ?? 0;
    room.set(ownerOf(backend), free - 1);
    return free > 0;
  });
}

/** Empty of the own cluster. */
function ownerOf({ remote, cluster }: MeshBackend): string {
  return remote ? cluster : '';
}

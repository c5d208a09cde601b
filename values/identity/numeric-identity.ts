/** Clusters a mesh may have, which fixes the bits of the cluster id in an identity (Cilium `--max-connected-clusters`). */
export type MaxConnectedClusters = 255 | 511;

/** Reserved identities that isthmus meets (Cilium `pkg/identity`). They mean the same in every cluster. */
export const reservedIdentities = {
  unknown: 0,
  host: 1,
  world: 2,
  unmanaged: 3,
  health: 4,
  init: 5,
  remoteNode: 6,
  kubeApiserver: 7,
  ingress: 8,
} as const;

/** Identities below are reserved, well-known or user-reserved. */
export const firstAllocatableIdentity = 256;

/** Numbers that cluster `clusterId` may allocate, both ends included. Cluster 0 (no mesh) starts at 256. */
export function identityRange(
  clusterId: number,
  max: MaxConnectedClusters = 255,
): { readonly min: number; readonly max: number } {
  const shift = shiftOf(max);
  return { min: clusterId === 0 ? firstAllocatableIdentity : clusterId << shift, max: ((clusterId + 1) << shift) - 1 };
}

/** The cluster that an identity belongs to; 0 for reserved ones. */
export function clusterIdOf(identity: number, max: MaxConnectedClusters = 255): number {
  return (identity >>> shiftOf(max)) & max;
}

/** True for identities that never leave their node (scope 0x01, 0x02 in bits 31–24). */
export function isLocalScope(identity: number): boolean {
  return identity >>> 24 !== 0;
}

function shiftOf(max: MaxConnectedClusters): number {
  return max === 255 ? 16 : 15;
}

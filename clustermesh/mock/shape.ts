import { type MaxConnectedClusters } from '../../values/identity/index.ts';

/** How large the clusters of a mock are, and how often they change. */
export interface MockShape {
  readonly clusters: number;
  /** Of each cluster. */
  readonly nodes: number;
  readonly identities: number;
  readonly endpoints: number;
  readonly services: number;
  /** Changes a second, of each cluster. */
  readonly endpointChanges: number;
  readonly identityChanges: number;
  readonly nodeChanges: number;
}

/**
 * The load that Cilium's own scale test puts on a mesh: 250 clusters of 100 nodes, 100 identities and 1,000 endpoints, with
 * 1 endpoint, 0.2 identity and 0.1 node changes a second in each, some 325 events a second in all.
 */
export const defaultMockShape: MockShape = {
  clusters: 250,
  nodes: 100,
  identities: 100,
  endpoints: 1000,
  services: 10,
  endpointChanges: 1,
  identityChanges: 0.2,
  nodeChanges: 0.1,
};

/** Bits of an IPv4 block that is cut into one part a cluster. */
function clusterBits(max: MaxConnectedClusters): number {
  return max === 255 ? 8 : 9;
}

/**
 * @throws {RangeError} for what no mesh can hold: each cluster has its share of 10.0.0.0/8 for endpoints, of 172.16.0.0/12 for
 * nodes and of the identities, and a tenth of each is left free so that there is something to change to.
 */
export function checkMockShape(shape: MockShape, max: MaxConnectedClusters): void {
  const most = (bits: number): number => Math.floor(2 ** bits * 0.9);
  const within = (member: keyof MockShape, min: number, limit: number): void => {
    const value = shape[member];
    if (!Number.isInteger(value) || value < min || value > limit)
      throw new RangeError(`${member} must be a whole number from ${min} to ${limit}, found ${value}`);
  };
  within('clusters', 1, max);
  within('nodes', 1, most(20 - clusterBits(max)));
  within('identities', 1, most(24 - clusterBits(max)) - 256);
  within('endpoints', 0, most(24 - clusterBits(max)));
  within('services', 0, 60_000);
  for (const member of ['endpointChanges', 'identityChanges', 'nodeChanges'] as const)
    if (!(shape[member] >= 0 && shape[member] <= 1000))
      throw new RangeError(`${member} must be from 0 to 1000 a second, found ${shape[member]}`);
}

/** The numbers of addresses that a cluster may use: `base` and as many from there. Cluster ids begin with 1. */
export function addressBlock(
  kind: 'endpoint' | 'node' | 'service',
  clusterId: number,
  max: MaxConnectedClusters,
): { readonly base: number; readonly size: number } {
  const [start, bits] = kind === 'endpoint' ? [0x0a000000, 24] : kind === 'node' ? [0xac100000, 20] : [0x64400000, 22];
  const size = 2 ** (bits - clusterBits(max));
  return { base: start + clusterId * size, size };
}

/** The id of a remote cluster is not to be had: reserved, our own, or another cluster's. First come keeps it. */
export class ClusterIdConflictError extends Error {
  readonly code = 'CLUSTERMESH_ID_CONFLICT';
  readonly clusterId: number;

  constructor(clusterId: number, reason: string) {
    super(reason);
    this.name = 'ClusterIdConflictError';
    this.clusterId = clusterId;
  }
}

/** Which cluster holds which id. A reservation outlives disconnections and ends with the cluster's configuration. */
export class ClusterIds {
  readonly #own: number;
  readonly #holders = new Map<number, string>();

  constructor(own: number) {
    this.#own = own;
  }

  /** @throws {ClusterIdConflictError} */
  reserve(clusterId: number, cluster: string): void {
    if (clusterId === 0) throw new ClusterIdConflictError(clusterId, 'clusterID 0 is reserved');
    if (clusterId === this.#own)
      throw new ClusterIdConflictError(clusterId, `clusterID ${clusterId} is assigned to the local cluster`);
    const holder = this.#holders.get(clusterId);
    if (holder !== undefined && holder !== cluster)
      throw new ClusterIdConflictError(clusterId, `clusterID ${clusterId} is already used by cluster ${holder}`);
    this.#holders.set(clusterId, cluster);
  }

  release(clusterId: number, cluster: string): void {
    if (this.#holders.get(clusterId) === cluster) this.#holders.delete(clusterId);
  }
}

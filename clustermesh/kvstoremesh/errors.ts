/** Another process has become the leader: whatever this one still wants to write is void. */
export class LeadershipLostError extends Error {
  readonly code = 'KVSTOREMESH_LEADERSHIP_LOST';

  constructor() {
    super('Another kvstoremesh has taken over the local cache');
    this.name = 'LeadershipLostError';
  }
}

/** What the remote cluster says of itself has changed: the connection begins anew with it. */
export class ClusterConfigChangedError extends Error {
  readonly code = 'CLUSTERMESH_CONFIG_CHANGED';

  constructor(cluster: string) {
    super(`The cluster configuration of ${cluster} has changed`);
    this.name = 'ClusterConfigChangedError';
  }
}

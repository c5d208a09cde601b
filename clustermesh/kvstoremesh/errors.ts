/** Another process has become the leader: whatever this one still wants to write is void. */
export class LeadershipLostError extends Error {
  readonly code = 'KVSTOREMESH_LEADERSHIP_LOST';

  constructor() {
    super('Another kvstoremesh has taken over the local cache');
    this.name = 'LeadershipLostError';
  }
}

/** A remote cluster's configuration names the own cluster's store, which has only copies of it: it is one for agents. */
export class OwnStoreError extends Error {
  readonly code = 'KVSTOREMESH_OWN_STORE';

  constructor() {
    super('Its endpoints lead to the store of our own cluster, which has only the copies of it');
    this.name = 'OwnStoreError';
  }
}

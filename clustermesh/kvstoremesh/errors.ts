/** Another process has become the leader: whatever this one still wants to write is void. */
export class LeadershipLostError extends Error {
  readonly code = 'KVSTOREMESH_LEADERSHIP_LOST';

  constructor() {
    super('Another kvstoremesh has taken over the local cache');
    this.name = 'LeadershipLostError';
  }
}

/** A set that was not read on this connection yet. */
export interface AwaitedSet {
  readonly name: string;
  /** The writer has not marked it as complete. */
  readonly unmarked: boolean;
}

/** The remote answers, and not all of its sets were read yet: no failure, but the reason why it is not ready. */
export class SetsAwaitedError extends Error {
  readonly code: 'CLUSTERMESH_CANARIES_AWAITED' | 'CLUSTERMESH_LISTING';

  /** @param sets at least one */
  constructor(cluster: string, sets: readonly AwaitedSet[]) {
    const unmarked = sets.filter((set) => set.unmarked);
    const names = (unmarked.length > 0 ? unmarked : sets).map(({ name }) => name).join(', ');
    super(
      unmarked.length > 0
        ? `Waiting for the canaries of ${names}: ${cluster} has not marked these sets as complete`
        : `Reading ${names}`,
    );
    this.code = unmarked.length > 0 ? 'CLUSTERMESH_CANARIES_AWAITED' : 'CLUSTERMESH_LISTING';
    this.name = 'SetsAwaitedError';
  }
}
